//go:build servers

package revocation_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parajwt/parajwt/revocation"
	"github.com/parajwt/parajwt/revocation/pgstore"
	"github.com/parajwt/parajwt/revocation/redisstore"
	"github.com/parajwt/parajwt/revocation/storetest"
)

func TestRedis(t *testing.T) {
	t.Parallel()
	conformance(t, newRedis(t).addr())
}

func openPostgres(t testing.TB, dsn string) *sql.DB {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func newPostgresStore(t testing.TB, db *sql.DB, table string) *pgstore.Store {
	store, err := pgstore.New(db, table)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	server := newPostgres(t)
	db := openPostgres(t, server.dsn(server.port))
	var tables atomic.Int64
	storetest.Run(t, func(t *testing.T) revocation.Store {
		table := fmt.Sprint("Test_", tables.Add(1))
		for range 2 { // the statement has no effect the second time
			if _, err := db.Exec(pgstore.Schema(table)); err != nil {
				t.Fatal(err)
			}
		}
		return newPostgresStore(t, db, table)
	})

	t.Run("in a schema", func(t *testing.T) {
		server.exec(`CREATE SCHEMA other`)
		server.exec(pgstore.Schema("other.log"))
		store := newPostgresStore(t, db, "other.log")
		e := revocation.Entry{Kind: revocation.KindAll, At: time.Now(), Expires: time.Now()}
		if err := store.Append(t.Context(), []revocation.Entry{e}); err != nil {
			t.Error(err)
		}
	})
	t.Run("an expired row and a lifted block are deleted", func(t *testing.T) {
		server.exec(pgstore.Schema("swept"))
		server.exec(`INSERT INTO swept (kind, subject, at, expires) VALUES
			('user', 'old', 1, 2), ('block', 'a', 1, 0), ('unblock', 'a', 2, 3),
			('block', 'b', 1, 0), ('user', 'new', 1, 9e15)`)
		rows := func() (kinds string) {
			// Each round has a new Store, because a Store sweeps at most once a
			// minute.
			_, err := newPostgresStore(t, db, "swept").Read(t.Context(), "", 0)
			if err != nil {
				t.Fatal(err)
			}
			err = db.QueryRow(`SELECT string_agg(kind, ' ' ORDER BY seq) FROM swept`).Scan(&kinds)
			if err != nil {
				t.Fatal(err)
			}
			return kinds
		}
		for _, want := range []string{"unblock block user", "block user", "block user"} {
			if got := rows(); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
	t.Run("junk of another program", func(t *testing.T) {
		server.exec(pgstore.Schema("junk"))
		server.exec(`INSERT INTO junk (kind, subject, at, expires) VALUES
			('user', 'x', 1, 9e15), ('', '', -9223372036854775808, 9223372036854775807),
			('other', repeat('x', 100), 0, 0)`)
		l := newList(t, revocation.Config{Store: newPostgresStore(t, db, "junk")})
		if st := l.Status(); st.Malformed != 3 || st.Entries != 0 || !st.Usable {
			t.Errorf("got %+v", st)
		}
	})
	t.Run("an empty table is truncated, and rows follow before the next read", func(t *testing.T) {
		server.exec(pgstore.Schema("gap"))
		store := newPostgresStore(t, db, "gap")
		e := []revocation.Entry{{Kind: revocation.KindAll, At: time.Now(), Expires: time.Now()}}
		for range 3 {
			if err := store.Append(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		for name, query := range map[string]string{
			"TRUNCATE":                  `TRUNCATE gap`,
			"TRUNCATE RESTART IDENTITY": `TRUNCATE gap RESTART IDENTITY`,
			"DELETE":                    `DELETE FROM gap`,
			"DROP":                      `DROP TABLE gap; ` + pgstore.Schema("gap"),
		} {
			b, err := store.Read(t.Context(), "", 0)
			if err != nil || len(b.Entries) < 3 {
				t.Fatalf("%s: got %+v, %v", name, b, err)
			}
			server.exec(query)
			for range 5 {
				if err := store.Append(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
			if b, err := store.Read(t.Context(), b.Next, 0); err != nil || !b.Gap {
				t.Errorf("%s: got %+v, %v, want a gap", name, b, err)
			}
		}
	})
}

func TestPostgresErrorsHaveAdvice(t *testing.T) {
	server := newPostgres(t)
	server.exec(`CREATE TABLE other (id int)`)
	server.exec(pgstore.Schema("good"))
	server.exec(`CREATE ROLE reader LOGIN`)
	server.exec(`GRANT SELECT ON good TO reader`)
	server.exec(`CREATE ROLE writer LOGIN`)
	server.exec(`GRANT SELECT, INSERT, DELETE ON good TO writer`)
	dsn := server.dsn(server.port)
	e := []revocation.Entry{{Kind: revocation.KindAll, At: time.Now(), Expires: time.Now()}}
	for name, test := range map[string]struct{ dsn, table, want string }{
		"a missing table": {dsn, "missing", "create it with pgstore.Schema"},
		"another table":   {dsn, "other", "use another name"},
		"no permission": {strings.Replace(dsn, "postgres@", "reader@", 1), "good",
			"needs SELECT, INSERT"},
		"no database": {strings.Replace(dsn, "/postgres?", "/none?", 1), "good",
			"database does not exist"},
		"a read-only transaction": {dsn + "&default_transaction_read_only=on", "good",
			"connect to the primary"},
	} {
		store := newPostgresStore(t, openPostgres(t, test.dsn), test.table)
		err := store.Append(t.Context(), e)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, test.want)
		}
	}
	granted := strings.Replace(dsn, "postgres@", "writer@", 1)
	for name, dsn := range map[string]string{"the owner": dsn, "a granted user": granted} {
		store := newPostgresStore(t, openPostgres(t, dsn), "good")
		if err := store.Append(t.Context(), e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if b, err := store.Read(t.Context(), "", 0); err != nil || len(b.Entries) == 0 {
			t.Errorf("%s: got %+v, %v", name, b, err)
		}
	}
}

func TestRedisErrorsHaveAdvice(t *testing.T) {
	server := newRedis(t)
	server.redis("SET", "string", "x")
	server.redis("ACL", "SETUSER", "good", "on", ">secret", "~log", "+xadd", "+xrange", "+xread",
		"+xdel", "+time")
	server.redis("ACL", "SETUSER", "reader", "on", ">secret", "~log", "+xrange", "+xread", "+time")
	plain := goRedis(3)(t, server.addr())
	as := func(name, password string) redisstore.Do {
		rdb := newGoRedis(t, server.addr(), name, password)
		return func(ctx context.Context, args ...any) (any, error) {
			return rdb.Do(ctx, args...).Result()
		}
	}
	e := []revocation.Entry{{Kind: revocation.KindAll, At: time.Now(), Expires: time.Now()}}
	for name, test := range map[string]struct {
		do        redisstore.Do
		key, want string
	}{
		"another type":     {plain, "string", "a key that nothing else uses"},
		"a wrong password": {as("good", "wrong"), "log", "password is wrong"},
		"no permission":    {as("reader", "secret"), "log", "+xadd"},
		"no key":           {plain, "", "needs a Do and a key"},
		"no client":        {nil, "log", "needs a Do and a key"},
	} {
		err := redisstore.New(test.do, test.key).Append(t.Context(), e)
		if err == nil || !strings.Contains(err.Error(), test.want) ||
			strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want an error with %q", name, err, test.want)
		}
	}
	// The documented access rule suffices, also for deletions.
	store := redisstore.New(as("good", "secret"), "log")
	old := revocation.Entry{Kind: revocation.KindAll, At: time.Unix(1, 0), Expires: time.Unix(2, 0)}
	for _, entry := range []revocation.Entry{old, e[0]} {
		if err := store.Append(t.Context(), []revocation.Entry{entry}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{2, 1} {
		b, err := store.Read(t.Context(), "", 0)
		if err != nil || len(b.Entries) != want {
			t.Errorf("got %d entries, %v, want %d", len(b.Entries), err, want)
		}
		if _, err := store.Read(t.Context(), b.Next, 10*time.Millisecond); err != nil {
			t.Error(err)
		}
	}
}

func TestRedisJunkOfAnotherProgram(t *testing.T) {
	server := newRedis(t)
	server.redis("XADD", "log", "*", "name", "value")
	server.redis("XADD", "log", "*", "e", strings.Repeat("x", 1<<20))
	server.redis("XADD", "log", "*", "e", "2u.x.1.1", "e", "")
	for name, client := range clients {
		l := newList(t, revocation.Config{Store: redisstore.New(client(t, server.addr()), "log")})
		if st := l.Status(); st.Malformed != 4 || st.Entries != 0 || !st.Usable {
			t.Errorf("%s: got %+v", name, st)
		}
	}
}
