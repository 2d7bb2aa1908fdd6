//go:build servers

package revocation_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/revocation"
	"github.com/parajwt/parajwt/revocation/pgstore"
	"github.com/parajwt/parajwt/revocation/redisstore"
)

// long is true if PARAJWT_FAULTS is long. Outages then last as long as real
// ones.
var long = os.Getenv("PARAJWT_FAULTS") == "long"

func duration(short, full time.Duration) time.Duration {
	if long {
		return full
	}
	return short
}

func newList(t testing.TB, cfg revocation.Config) *revocation.List {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	l, err := revocation.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := l.Warm(ctx); err != nil {
		t.Fatal(err)
	}
	return l
}

func newGoRedis(t testing.TB, addr, name, password string) *goredis.Client {
	rdb := goredis.NewClient(&goredis.Options{Addr: addr, Username: name, Password: password})
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// backend is a kind of server, with functions that cause its faults.
type backend struct {
	name  string
	start func(t testing.TB, args ...string) *process
	// store returns a Store as one server of the fleet has it: with connections
	// that no other server shares, through a port.
	store func(t testing.TB, p *process, port string) revocation.Store
	// prepare creates the log after a start with empty data.
	prepare func(p *process)
	// empty removes the data of a stopped server.
	empty func(p *process)
	// truncate deletes the log of a running server.
	truncate func(p *process)
	// remove deletes entries in the middle of the log.
	remove func(p *process)
	// refuse makes the server refuse writes. accept makes it accept them again.
	refuse map[string]struct{ refuse, accept func(p *process) }
}

const table = "parajwt_revocations"

var redisBackend = backend{
	name:  "Redis",
	start: newRedis,
	store: func(t testing.TB, p *process, port string) revocation.Store {
		return redisstore.New(goRedis(3)(t, "127.0.0.1:"+port), table)
	},
	prepare:  func(*process) {},
	empty:    func(p *process) { os.RemoveAll(p.dir + "/appendonlydir") },
	truncate: func(p *process) { p.redis("FLUSHALL") },
	remove: func(p *process) {
		messages := p.redis("XRANGE", table, "-", "+", "COUNT", "20").([]any)
		for _, m := range messages {
			p.redis("XDEL", table, m.([]any)[0])
		}
	},
	refuse: map[string]struct{ refuse, accept func(p *process) }{
		"full": {
			func(p *process) { p.redis("CONFIG", "SET", "maxmemory", "1") },
			func(p *process) { p.redis("CONFIG", "SET", "maxmemory", "0") },
		},
		"read-only replica": {
			func(p *process) { p.redis("REPLICAOF", "127.0.0.1", "1") },
			func(p *process) { p.redis("REPLICAOF", "NO", "ONE") },
		},
	},
}

var postgresBackend = backend{
	name:  "PostgreSQL",
	start: newPostgres,
	store: func(t testing.TB, p *process, port string) revocation.Store {
		return newPostgresStore(t, openPostgres(t, p.dsn(port)), table)
	},
	prepare: func(p *process) { p.exec(pgstore.Schema(table)) },
	empty: func(p *process) {
		template, _ := cluster()
		os.RemoveAll(p.dir + "/data")
		exec.Command("cp", "-a", template+"/data", p.dir).Run()
	},
	truncate: func(p *process) { p.exec("TRUNCATE " + table) },
	remove: func(p *process) {
		p.exec("DELETE FROM " + table + " WHERE seq IN (SELECT seq FROM " + table +
			" ORDER BY seq LIMIT 20)")
	},
	refuse: map[string]struct{ refuse, accept func(p *process) }{
		"read-only": {
			func(p *process) {
				p.exec("ALTER SYSTEM SET default_transaction_read_only = on")
				p.exec("SELECT pg_reload_conf()")
			},
			func(p *process) {
				db := openPostgres(p.t, p.dsn(p.port)+"&default_transaction_read_only=off")
				for _, q := range []string{"ALTER SYSTEM RESET default_transaction_read_only",
					"SELECT pg_reload_conf()"} {
					if _, err := db.Exec(q); err != nil {
						p.t.Fatal(err)
					}
				}
			},
		},
	},
}

var backends = []backend{redisBackend, postgresBackend}

// fleet is a number of lists, each with its own connections to one store.
type fleet struct {
	t     testing.TB
	lists []*revocation.List

	revoked []string // users, each revoked on some list
}

// beginning is before every revocation of the tests.
var beginning = time.Now().Add(-time.Minute)

// token returns claims of a token from before every revocation.
func token(userID string) *claims.Claims {
	return &claims.Claims{UserID: userID, TokenID: "token of " + userID,
		IssuedAt: beginning}
}

// load revokes users on random lists until stop is called. Calls of RevokeUser
// may then still wait for the store.
func (f *fleet) load() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work, calls sync.WaitGroup
	work.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			id := fmt.Sprintf("%08x-38d3-4650-91a8-%012x", n, rand.Uint64()>>16)
			l := f.lists[rand.N(len(f.lists))]
			f.revoked = append(f.revoked, id)
			calls.Go(func() {
				err := l.RevokeUser(context.Background(), id)
				if err != nil && !errors.Is(err, revocation.ErrNotYetShared) {
					f.t.Error(err)
				}
				// The server that revokes refuses the token at once.
				if out, err := l.Revoked(context.Background(), token(id), time.Now()); !out {
					f.t.Errorf("accepted by its own server: %v", err)
				}
			})
			time.Sleep(10 * time.Millisecond)
		}
	})
	f.t.Cleanup(func() { cancel(); calls.Wait() })
	return func() { cancel(); work.Wait() }
}

// begin waits until every list has read an entry that another list wrote. Only
// then does a list have a cursor, which shows that the log was deleted. A list
// without a cursor finds the loss in its next Resync.
func (f *fleet) begin() {
	f.t.Helper()
	for i, l := range f.lists {
		id := fmt.Sprint("first of server ", i)
		if err := l.RevokeUser(f.t.Context(), id); err != nil {
			f.t.Fatal(err)
		}
		f.revoked = append(f.revoked, id)
	}
	f.converge("begin", time.Now())
}

// converge waits until every list has every revocation and is not stale. It
// logs the time since an instant. A revocation that a list does not have after
// 40 seconds is lost.
func (f *fleet) converge(what string, since time.Time) {
	f.t.Helper()
	took := make([]time.Duration, len(f.lists))
	lost := 0
	for i, l := range f.lists {
		for deadline := time.Now().Add(40 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			missing := 0
			for _, id := range f.revoked {
				if out, _ := l.Revoked(f.t.Context(), token(id), time.Now()); !out {
					missing++
				}
			}
			_, err := l.Revoked(f.t.Context(), token("somebody else"), time.Now())
			if missing == 0 && err == nil && l.Status().Pending == 0 {
				break
			}
			if time.Now().After(deadline) {
				lost += missing
				f.t.Errorf("server %d: %d missing, %v, %+v", i, missing, err, l.Status())
				break
			}
		}
		took[i] = time.Since(since)
	}
	slices.Sort(took)
	gaps := 0
	for _, l := range f.lists {
		gaps += l.Status().Gaps
	}
	f.t.Logf("RESULT %s: %d revocations, %d lost, "+
		"on all servers after %v (on the first after %v), %d gaps noticed",
		what, len(f.revoked), lost, took[len(took)-1].Round(time.Millisecond),
		took[0].Round(time.Millisecond), gaps)
}

// complete checks that a new list reads every revocation from the store.
func (f *fleet) complete(store revocation.Store) {
	f.t.Helper()
	missing := 0
	l := newList(f.t, revocation.Config{Store: store})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		missing = 0
		for _, id := range f.revoked {
			if out, _ := l.Revoked(f.t.Context(), token(id), time.Now()); !out {
				missing++
			}
		}
		if missing == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	f.t.Errorf("the store lacks %d of %d revocations", missing, len(f.revoked))
}

func newFleet(
	t testing.TB, b backend, p *process, port string, n int, cfg revocation.Config,
) *fleet {
	f := &fleet{t: t}
	for range n {
		cfg.Store = b.store(t, p, port)
		f.lists = append(f.lists, newList(t, cfg))
	}
	return f
}

func TestFaults(t *testing.T) {
	t.Parallel()
	faults := []struct {
		name  string
		cfg   revocation.Config
		fault func(b backend, p *process, x *proxy)
	}{
		{"killed", revocation.Config{}, func(b backend, p *process, x *proxy) {
			p.kill()
			time.Sleep(duration(2*time.Second, time.Minute))
			p.start()
		}},
		{"killed, emptied and restarted", revocation.Config{},
			func(b backend, p *process, x *proxy) {
				p.kill()
				b.empty(p)
				time.Sleep(duration(time.Second, 10*time.Second))
				p.start()
				b.prepare(p)
			}},
		{"log deleted while running", revocation.Config{}, func(b backend, p *process, x *proxy) {
			b.truncate(p)
		}},
		{"hung", revocation.Config{}, func(b backend, p *process, x *proxy) {
			p.signal(syscall.SIGSTOP)
			time.Sleep(duration(4*time.Second, 15*time.Second))
			p.signal(syscall.SIGCONT)
		}},
		{"cut off", revocation.Config{}, func(b backend, p *process, x *proxy) {
			x.hang()
			time.Sleep(duration(4*time.Second, 15*time.Second))
			x.pass()
		}},
		{"entries removed silently", revocation.Config{Resync: time.Second},
			func(b backend, p *process, x *proxy) { b.remove(p) }},
	}
	for _, b := range backends {
		for _, fault := range faults {
			t.Run(b.name+" "+fault.name, func(t *testing.T) {
				t.Parallel()
				runFault(t, b, fault.cfg, fault.fault)
			})
		}
		for name, f := range b.refuse {
			t.Run(b.name+" "+name, func(t *testing.T) {
				t.Parallel()
				runFault(t, b, revocation.Config{}, func(b backend, p *process, x *proxy) {
					f.refuse(p)
					time.Sleep(duration(time.Second, 15*time.Second))
					f.accept(p)
				})
			})
		}
	}
}

func runFault(
	t *testing.T, b backend, cfg revocation.Config, fault func(backend, *process, *proxy),
) {
	p := b.start(t)
	b.prepare(p)
	x := newProxy(t, p.addr())
	f := newFleet(t, b, p, x.port, 3, cfg)
	f.begin()
	stop := f.load()
	time.Sleep(duration(500*time.Millisecond, 3*time.Second))
	fault(b, p, x)
	over := time.Now()
	stop()
	f.converge(t.Name(), over)
	stop = f.load() // everything works again
	time.Sleep(duration(200*time.Millisecond, 3*time.Second))
	stop()
	f.converge(t.Name()+", later", time.Now())
	f.complete(b.store(t, p, p.port))
}

// TestPropagation measures the time until the last of many servers refuses a
// revoked user.
func TestPropagation(t *testing.T) {
	for _, test := range []struct {
		name   string
		b      backend
		notify bool
		lists  int
		n      int
	}{
		{"Redis", redisBackend, false, 1, 300},
		{"Redis", redisBackend, false, 50, 300},
		{"PostgreSQL with NOTIFY", postgresBackend, true, 1, 200},
		{"PostgreSQL with NOTIFY", postgresBackend, true, 50, 200},
		{"PostgreSQL", postgresBackend, false, 50, 10},
	} {
		t.Run(fmt.Sprint(test.name, " ", test.lists), func(t *testing.T) {
			p := test.b.start(t)
			test.b.prepare(p)
			f := &fleet{t: t}
			for range test.lists {
				store := test.b.store(t, p, p.port)
				if test.notify {
					listen(t, p, store.(*pgstore.Store))
				}
				f.lists = append(f.lists, newList(t, revocation.Config{Store: store}))
			}
			writer := newList(t, revocation.Config{Store: test.b.store(t, p, p.port)})
			times := make([]time.Duration, test.n)
			if !long {
				times = times[:max(test.n/10, 3)]
			}
			for i := range times {
				id := fmt.Sprint("user ", i)
				user := token(id)
				if i%2 == 1 {
					time.Sleep(rand.N(20 * time.Millisecond))
				}
				start := time.Now()
				if err := writer.RevokeUser(t.Context(), id); err != nil {
					t.Fatal(err)
				}
				for _, l := range f.lists {
					for {
						out, err := l.Revoked(t.Context(), user, time.Now())
						if err != nil {
							t.Fatal(err)
						}
						if out {
							break
						}
						if time.Since(start) > 20*time.Second {
							t.Fatalf("a server does not refuse the user: %+v", l.Status())
						}
						time.Sleep(100 * time.Microsecond)
					}
				}
				times[i] = time.Since(start)
			}
			slices.Sort(times)
			t.Logf("RESULT %s: the last of %d servers refuses the user after p50 %v, p99 %v",
				test.name, test.lists,
				times[len(times)/2].Round(10*time.Microsecond),
				times[len(times)*99/100].Round(10*time.Microsecond))
		})
	}
}

// TestManyServers revokes on 50 servers at once, while the log is deleted.
func TestManyServers(t *testing.T) {
	t.Parallel()
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			p := b.start(t)
			b.prepare(p)
			f := newFleet(t, b, p, p.port, 50, revocation.Config{})
			stop := f.load()
			time.Sleep(duration(time.Second, 10*time.Second))
			b.truncate(p)
			over := time.Now()
			stop()
			f.converge(t.Name(), over)
			f.complete(b.store(t, p, p.port))
		})
	}
}

// TestClocks revokes on servers whose clocks differ from the store's by 10
// seconds and an hour.
func TestClocks(t *testing.T) {
	t.Parallel()
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			p := b.start(t)
			b.prepare(p)
			var lists []*revocation.List
			var clocks []func() time.Time
			for _, ahead := range []time.Duration{0, 10 * time.Second, -10 * time.Second, time.Hour,
				-time.Hour} {
				now := func() time.Time { return time.Now().Add(ahead) }
				l := newList(t, revocation.Config{Store: b.store(t, p, p.port), Now: now,
					Resync: time.Second})
				lists, clocks = append(lists, l), append(clocks, now)
				skew := l.Status().ClockSkew
				if d := (skew - ahead).Abs(); d > 5*time.Second {
					t.Errorf("a clock that is %v ahead: ClockSkew is %v", ahead, skew)
				}
			}
			ctx := t.Context()
			for i, l := range lists {
				id := fmt.Sprint("user ", i)
				before := time.Now().Add(-time.Second)
				for _, err := range []error{
					l.RevokeUser(ctx, id),
					l.RevokeToken(ctx, &claims.Claims{
						TokenID: id, ExpiresAt: time.Now().Add(time.Hour),
					}),
					l.BlockUser(ctx, "banned by "+id),
					l.BlockUser(ctx, "not banned by "+id), l.UnblockUser(ctx, "not banned by "+id),
				} {
					if err != nil {
						t.Fatal(err)
					}
				}
				// A later call on another server counts.
				other := lists[(i+1)%len(lists)]
				eventually(t, "the other server has the block", func() bool {
					out, _ := other.Revoked(ctx, token("banned by "+id), clocks[(i+1)%len(lists)]())
					return out
				})
				if err := other.UnblockUser(ctx, "banned by "+id); err != nil {
					t.Fatal(err)
				}
				for j, l := range lists {
					is := func(c *claims.Claims) bool {
						out, _ := l.Revoked(ctx, c, clocks[j]())
						return out
					}
					what := fmt.Sprintf("server %d has the revocations of server %d", j, i)
					eventually(t, what, func() bool {
						return is(&claims.Claims{UserID: id, IssuedAt: before}) &&
							is(&claims.Claims{TokenID: id}) && !is(token("banned by "+id)) &&
							!is(token("not banned by "+id)) &&
							!is(&claims.Claims{UserID: id, IssuedAt: time.Now().Add(maxAhead)})
					})
				}
			}
			time.Sleep(duration(2500*time.Millisecond, 20*time.Second)) // some passes over the log
			for i := range lists {
				id := fmt.Sprint("user ", i)
				for j, l := range lists {
					out, err := l.Revoked(ctx, &claims.Claims{UserID: id,
						IssuedAt: time.Now().Add(-time.Hour)}, clocks[j]())
					if !out {
						t.Errorf("server %d has lost the user of server %d: %v", j, i, err)
					}
				}
			}
			for j, l := range lists {
				if st := l.Status(); st.Gaps != 0 || st.Pending != 0 {
					t.Errorf("server %d: %+v", j, st)
				}
			}
		})
	}
}

// maxAhead is how far in the future the time of a RevokeUser may be, for a
// clock that is ahead of the store's.
const maxAhead = 31 * time.Second

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 20 s: " + what)
		}
	}
}

const childArg = "server-in-a-child-process"

// child is a server of the fleet in a separate process. It reads a number n,
// and prints how many of the first n users are on its list. It also counts how
// often it accepts the last user after a suspension of more than MaxStaleness.
func child() {
	fail := func(err error) {
		fmt.Println("error", err)
		os.Exit(1)
	}
	rdb := goredis.NewClient(&goredis.Options{Addr: os.Args[2]})
	const maxStaleness = 5 * time.Second
	l, err := revocation.New(revocation.Config{
		Logger: slog.New(slog.DiscardHandler), MaxStaleness: maxStaleness,
		Store: redisstore.New(func(ctx context.Context, args ...any) (any, error) {
			return rdb.Do(ctx, args...).Result()
		}, table)})
	if err != nil {
		fail(err)
	}
	if err := l.Warm(context.Background()); err != nil {
		fail(err)
	}
	var mu sync.Mutex
	accepted, frozen := 0, time.Duration(0)
	go func() {
		last := time.Now()
		suspended := false
		for {
			now := time.Now()
			if d := now.Sub(last); d > maxStaleness {
				suspended = true
				frozen = d
			}
			last = now
			out, err := l.Revoked(context.Background(), token("user last"), now)
			mu.Lock()
			if suspended && !out && err == nil {
				accepted++
			}
			mu.Unlock()
			time.Sleep(time.Millisecond)
		}
	}()
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		n, _ := strconv.Atoi(in.Text())
		known := 0
		for i := range n {
			user := token(fmt.Sprint("user ", i))
			if out, _ := l.Revoked(context.Background(), user, time.Now()); out {
				known++
			}
		}
		mu.Lock()
		fmt.Println(known, accepted, frozen.Round(time.Millisecond))
		mu.Unlock()
	}
}

// TestFrozenServer suspends a server of the fleet while 200,000 revocations are
// written.
func TestFrozenServer(t *testing.T) {
	t.Parallel()
	const users = 200_000
	p := newRedis(t)
	cmd := exec.Command(os.Args[0], childArg, p.addr())
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	answers := bufio.NewScanner(out)
	if !answers.Scan() || answers.Text() != "ready" {
		t.Fatal("the child printed ", answers.Text())
	}
	writer := newList(t, revocation.Config{Store: redisBackend.store(t, p, p.port)})

	cmd.Process.Signal(syscall.SIGSTOP)
	start := time.Now()
	ids := make(chan int)
	var work sync.WaitGroup
	for range 500 {
		work.Go(func() {
			for i := range ids {
				if err := writer.RevokeUser(t.Context(), fmt.Sprint("user ", i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range users {
		ids <- i
	}
	close(ids)
	work.Wait()
	if err := writer.RevokeUser(t.Context(), "user last"); err != nil {
		t.Fatal(err)
	}
	wrote := time.Since(start)
	time.Sleep(max(0, duration(6*time.Second, 20*time.Second)-wrote))
	cmd.Process.Signal(syscall.SIGCONT)
	start = time.Now()
	for {
		fmt.Fprintln(in, users)
		if !answers.Scan() {
			t.Fatal("the child has ended")
		}
		answer := strings.Fields(answers.Text())
		known, _ := strconv.Atoi(answer[0])
		if answer[1] != "0" {
			t.Fatalf("accepted a revoked user %s times after a suspension of %s",
				answer[1], answer[2])
		}
		if known == users {
			t.Logf("RESULT suspended for %s: %d revocations, written in %v, 0 lost, "+
				"on the list %v after the suspension", answer[2], users,
				wrote.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
			return
		}
		if time.Since(start) > 30*time.Second {
			t.Fatalf("%d of %d are on the list", known, users)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
