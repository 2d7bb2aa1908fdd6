// Package pgstore keeps a revocation log in a PostgreSQL table, through
// database/sql. It depends on no driver: the program opens the database with
// its own, such as pgx's stdlib or lib/pq.
//
// Create the table with [Schema], which requires PostgreSQL 10 or later. The
// database user needs the privileges SELECT, INSERT and DELETE on the table.
// Connect to the primary server.
//
// A waiting server polls the table, so a revocation reaches it in about half a
// second. To reach it at once, LISTEN on a separate connection, and call
// [Store.Wake] for each notification. The channel has the name that was given
// to [New]. With pgx:
//
//	conn.Exec(ctx, `LISTEN "parajwt_revocations"`)
//	for {
//		if _, err := conn.WaitForNotification(ctx); err != nil {
//			break // connect again
//		}
//		store.Wake()
//	}
package pgstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parajwt/parajwt/revocation"
)

const (
	readCount = 5000 // rows of one query
	maxRows   = 1000 // rows of one INSERT, whose parameters are limited to 65,535
	poll      = 500 * time.Millisecond
	// keepExpired is how long an expired row is kept for servers whose clocks
	// are behind. deleteCount is the maximum number of rows that one sweep
	// deletes.
	keepExpired = time.Hour
	deleteCount = 10_000
)

// Store is a [revocation.Store] in a PostgreSQL table. Create it with [New]. It
// is safe for concurrent use by multiple goroutines.
type Store struct {
	db      *sql.DB
	table   string // quoted
	channel string
	lock    int64

	mu    sync.Mutex
	wake  chan struct{} // closed and replaced by Wake
	swept time.Time
}

// New returns a Store in a table, such as "parajwt_revocations" or
// "myschema.revocations". It does not use the database: a missing table or a
// wrong password is an error of Read and Append. It returns an error if db is
// nil or the name is invalid. Names consist of ASCII letters, digits and
// underscores, do not begin with a digit, and are case-sensitive. A name with
// its schema has at most 63 characters.
func New(db *sql.DB, table string) (*Store, error) {
	if db == nil {
		return nil, errors.New("pgstore: db is nil")
	}
	quoted, err := quote(table)
	if err != nil {
		return nil, err
	}
	h := fnv.New64a()
	h.Write([]byte("parajwt " + table))
	return &Store{db: db, table: quoted, channel: table, lock: int64(h.Sum64()),
		wake: make(chan struct{})}, nil
}

var names = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$`)

func quote(table string) (string, error) {
	if len(table) > 63 || !names.MatchString(table) {
		return "", fmt.Errorf("pgstore: table %.70q: use letters, digits and underscores, "+
			"with an optional schema and a dot in front, at most 63 characters", table)
	}
	return `"` + strings.ReplaceAll(table, ".", `"."`) + `"`, nil
}

// Schema returns the SQL statement that creates the table, for a migration or
// db.Exec. The statement has no effect if the table exists. For a name that
// [New] refuses, Schema returns a statement that fails.
//
// The columns at and expires are in milliseconds since 1970. expires is 0 for
// entries that do not expire.
func Schema(table string) string {
	quoted, err := quote(table)
	if err != nil {
		return "SELECT 1/0 AS pgstore_invalid_table_name"
	}
	return `CREATE TABLE IF NOT EXISTS ` + quoted + ` (
	seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	mark    bigint NOT NULL DEFAULT (random() * 9e15)::bigint,
	kind    text   NOT NULL CHECK (length(kind) <= 20),
	subject text   NOT NULL CHECK (length(subject) <= 100),
	at      bigint NOT NULL,
	expires bigint NOT NULL
)`
}

// Wake makes every waiting Read query the table now. Call it for each
// notification of the channel that has the name of the table.
func (s *Store) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.wake)
	s.wake = make(chan struct{})
}

func (s *Store) awake() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wake
}

// Append implements [revocation.Store]. It appends all entries in one
// transaction. An advisory lock makes the order of seq the order of commits. A
// reader therefore never skips a row that becomes visible later.
func (s *Store) Append(ctx context.Context, entries []revocation.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	return s.explain("append", s.append(ctx, entries))
}

func (s *Store) append(ctx context.Context, entries []revocation.Entry) error {
	for _, e := range entries {
		if _, err := e.MarshalText(); err != nil {
			return err
		}
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	_, err = tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1), pg_notify($2, '')`,
		s.lock, s.channel)
	if err != nil {
		return err
	}
	for len(entries) > 0 {
		n := min(len(entries), maxRows)
		query := []byte("INSERT INTO " + s.table + " (kind, subject, at, expires) VALUES ")
		args := make([]any, 0, 4*n)
		for i, e := range entries[:n] {
			if i > 0 {
				query = append(query, ',')
			}
			query = fmt.Appendf(query, "($%d,$%d,$%d,$%d)", 4*i+1, 4*i+2, 4*i+3, 4*i+4)
			expires := int64(0)
			if !e.Expires.IsZero() {
				expires = e.Expires.UnixMilli()
			}
			args = append(args, e.Kind.String(), e.Subject, e.At.UnixMilli(), expires)
		}
		if _, err := tx.ExecContext(ctx, string(query), args...); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return tx.Commit()
}

// Read implements [revocation.Store]. It reads starting at the row of the
// cursor. It reports a gap if that row is missing, because the table was
// truncated, replaced or restored. A Read from the beginning also deletes
// lifted blocks and rows that expired more than an hour ago, at most once a
// minute. It keeps the last row. Read ignores errors of this deletion.
func (s *Store) Read(ctx context.Context, after revocation.Cursor, wait time.Duration) (
	revocation.Batch, error) {
	if after == "" {
		s.sweep(ctx)
	}
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		awake := s.awake() // before the query, so that no Wake is missed
		batch, err := s.readNow(ctx, after)
		if err != nil {
			return revocation.Batch{}, s.explain("read", err)
		}
		if batch.Gap || len(batch.Entries) > 0 || !batch.End || wait <= 0 {
			return batch, nil
		}
		again := time.NewTimer(poll)
		select {
		case <-awake:
		case <-again.C:
		case <-deadline.C:
			return batch, nil
		case <-ctx.Done():
			again.Stop()
			return revocation.Batch{}, ctx.Err()
		}
		again.Stop()
	}
}

// clockQuery returns the server's clock in milliseconds since 1970.
const clockQuery = `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint`

func (s *Store) readNow(ctx context.Context, after revocation.Cursor) (
	batch revocation.Batch, err error) {
	seq, mark, ok := parseCursor(after)
	if !ok {
		seq, mark = 0, 0 // no row has this position, so Read reports a gap
	}
	// The clock is a subquery, which is computed once. left bounds the texts,
	// because another program may have written them.
	rows, err := s.db.QueryContext(ctx, `
SELECT (`+clockQuery+`), seq, mark, left(kind, 20), left(subject, 100), at, expires
FROM `+s.table+` WHERE seq >= $1 ORDER BY seq LIMIT $2`, seq, readCount+1)
	if err != nil {
		return batch, err
	}
	defer rows.Close()
	count, found := 0, after == ""
	var clock, rowSeq, rowMark, at, expires int64
	var kind, subject string
	for rows.Next() {
		err := rows.Scan(&clock, &rowSeq, &rowMark, &kind, &subject, &at, &expires)
		if err != nil {
			return batch, err
		}
		count++
		if !found {
			if found = rowSeq == seq && rowMark == mark; !found {
				break
			}
			continue
		}
		batch.Entries = append(batch.Entries, decode(kind, subject, at, expires))
	}
	if err := rows.Close(); err != nil {
		return batch, err
	}
	if err := rows.Err(); err != nil {
		return batch, err
	}
	if count == 0 {
		err := s.db.QueryRowContext(ctx, clockQuery).Scan(&clock)
		if err != nil {
			return batch, err
		}
	}
	batch.Time = time.UnixMilli(clock)
	if !found {
		return revocation.Batch{Gap: true, Time: batch.Time}, nil
	}
	batch.Next = after
	if len(batch.Entries) > 0 {
		batch.Next = revocation.Cursor(fmt.Sprintf("%d-%d", rowSeq, rowMark))
	}
	batch.End = count <= readCount
	return batch, nil
}

func parseCursor(c revocation.Cursor) (seq, mark int64, ok bool) {
	a, b, _ := strings.Cut(string(c), "-")
	seq, err1 := strconv.ParseInt(a, 10, 64)
	mark, err2 := strconv.ParseInt(b, 10, 64)
	return seq, mark, err1 == nil && err2 == nil && seq > 0
}

// decode returns the entry of a row. The list refuses a malformed one.
func decode(kind, subject string, at, expires int64) revocation.Entry {
	e := revocation.Entry{Subject: subject, At: time.UnixMilli(at)}
	for k := revocation.KindUser; k <= revocation.KindUnblock; k++ {
		if k.String() == kind {
			e.Kind = k
		}
	}
	if expires != 0 {
		e.Expires = time.UnixMilli(expires)
	}
	return e
}

// sweep deletes blocks that were lifted and rows that expired by the server's
// clock, at most once a minute. It keeps the last row, because its position is
// the cursor of every reader. Errors are ignored, because the next sweep finds
// the same rows.
func (s *Store) sweep(ctx context.Context) {
	s.mu.Lock()
	due := s.swept.IsZero() || time.Since(s.swept) > time.Minute
	if due {
		s.swept = time.Now()
	}
	s.mu.Unlock()
	if !due {
		return
	}
	_, _ = s.db.ExecContext(ctx, `
WITH last AS (SELECT max(seq) AS seq FROM `+s.table+`),
clock AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms)
DELETE FROM `+s.table+` WHERE seq IN (
	SELECT t.seq FROM `+s.table+` t, last, clock
	WHERE t.seq < last.seq AND (
		t.kind = 'block' AND EXISTS (SELECT FROM `+s.table+` u
			WHERE u.kind = 'unblock' AND u.subject = t.subject AND u.at > t.at)
		OR t.kind <> 'block' AND t.expires BETWEEN 1 AND clock.ms - $1
		AND NOT (t.kind = 'unblock' AND EXISTS (SELECT FROM `+s.table+` b
			WHERE b.kind = 'block' AND b.subject = t.subject)))
	LIMIT $2)`, keepExpired.Milliseconds(), deleteCount)
}

// explain adds advice to a known error of the server. The codes are those of
// the PostgreSQL documentation, appendix A.
func (s *Store) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	advice := ""
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		switch state.SQLState() {
		case "42P01":
			advice = "the table does not exist: create it with pgstore.Schema: "
		case "42703":
			advice = "the table was not created with pgstore.Schema: use another name: "
		case "42501":
			advice = "the user needs SELECT, INSERT and DELETE on the table: "
		case "28P01", "28000":
			advice = "the user name or password is wrong: "
		case "3D000":
			advice = "the database does not exist: "
		case "25006":
			advice = "the server is a read-only replica: connect to the primary: "
		case "53100":
			advice = "the server's disk is full: "
		}
	}
	return fmt.Errorf("pgstore: %s %s: %s%w", what, s.table, advice, err)
}
