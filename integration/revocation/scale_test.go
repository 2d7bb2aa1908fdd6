//go:build servers

package revocation_test

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parajwt/parajwt/revocation"
	"github.com/parajwt/parajwt/revocation/pgstore"
)

// listen calls Wake for each notification, as the documentation of pgstore
// shows.
func listen(t testing.TB, p *process, store *pgstore.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := pgx.Connect(ctx, p.dsn(p.port))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, `LISTEN "`+table+`"`); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := conn.WaitForNotification(ctx); err != nil {
				return
			}
			store.Wake()
		}
	}()
	t.Cleanup(func() { cancel(); <-done; conn.Close(context.Background()) })
}

// TestMillion measures a list of 1,000,000 users: the store's memory, the time
// to read them and the heap. It fails only if the number of entries is wrong.
func TestMillion(t *testing.T) {
	if !long {
		return
	}
	const entries = 1_000_000
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			p := b.start(t)
			b.prepare(p)
			writer, err := revocation.New(revocation.Config{Logger: slog.New(slog.DiscardHandler),
				Store: b.store(t, p, p.port)})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			limit := make(chan struct{}, 2000)
			for i := range entries {
				limit <- struct{}{}
				go func() {
					id := fmt.Sprint("user ", i)
					if err := writer.RevokeUser(context.Background(), id); err != nil {
						t.Error(err)
					}
					<-limit
				}()
			}
			for range cap(limit) {
				limit <- struct{}{}
			}
			wrote := time.Since(start)
			writer.Close()
			writer = nil
			memory := "-"
			if b.name == "Redis" {
				m := regexp.MustCompile(`used_memory:(\d+)`).FindStringSubmatch(
					p.redis("INFO", "memory").(string))
				bytes, _ := strconv.Atoi(m[1])
				memory = fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
			}
			heap := func() uint64 {
				runtime.GC()
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			before := heap()
			store := b.store(t, p, p.port)
			start = time.Now()
			l := newList(t, revocation.Config{Store: store})
			read := time.Since(start)
			after := heap()
			if n := l.Status().Entries; n != entries {
				t.Errorf("%d entries", n)
			}
			t.Logf("RESULT %s: 1,000,000 entries written in %v, %s in the store, "+
				"read in %v, heap %.1f MiB", b.name, wrote.Round(time.Millisecond), memory,
				read.Round(time.Millisecond), float64(after-before)/(1<<20))
			runtime.KeepAlive(l)
		})
	}
}
