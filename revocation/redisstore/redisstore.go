// Package redisstore keeps a revocation log in a Redis or Valkey stream. It
// depends on no client library: the program passes a function that calls its
// own client.
//
// It requires Redis 6.2 or later, or Valkey. It uses the commands XADD, XRANGE,
// XREAD and XDEL on one key, and TIME. For the key "myapp:revocations", a
// sufficient access rule is
//
//	ACL SETUSER parajwt on >password ~myapp:revocations \
//		+xadd +xrange +xread +xdel +time
//
// Run the server with "appendonly yes", so that a restart keeps the log, and
// with "maxmemory-policy noeviction", so that the server does not evict the
// log. Every revocation.List writes back entries that the server has lost.
// 1,000,000 entries need less than 80 MB.
//
// Each field "e" of a message has one entry in the text form of
// [revocation.Entry]. A read of the whole log also deletes lifted blocks, and
// messages whose entries expired more than an hour ago by the server's clock.
// It keeps the last message.
package redisstore

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parajwt/parajwt/revocation"
)

// Do sends one command and returns its reply. Replies may have the types of
// RESP2 or RESP3, with strings as string or []byte. A nil reply is (nil, nil),
// or the error of go-redis or rueidis for it. Do must obey the context, and
// must be safe for concurrent use by multiple goroutines.
//
// XREAD blocks for up to a second. It needs a connection that no other caller
// uses during that time.
//
// With go-redis, whose Options need ContextTimeoutEnabled to obey the context:
//
//	func(ctx context.Context, args ...any) (any, error) {
//		return rdb.Do(ctx, args...).Result()
//	}
//
// With rueidis, which sends blocking commands over separate connections:
//
//	func(ctx context.Context, args ...any) (any, error) {
//		words := make([]string, len(args))
//		for i, arg := range args {
//			words[i] = fmt.Sprint(arg)
//		}
//		command := client.B().Arbitrary(words...).Blocking()
//		return client.Do(ctx, command).ToAny()
//	}
//
// With redigo, configured with a read timeout of more than a second:
//
//	func(ctx context.Context, args ...any) (any, error) {
//		conn, err := pool.GetContext(ctx)
//		if err != nil {
//			return nil, err
//		}
//		defer conn.Close()
//		return redis.DoContext(conn, ctx, args[0].(string), args[1:]...)
//	}
type Do func(ctx context.Context, args ...any) (any, error)

const (
	field = "e"
	// readCount is the maximum number of messages in a reply. messageSize is
	// the maximum number of entries in a message.
	readCount   = 1000
	messageSize = 100
	// maxBlock is less than the read timeout of clients. That of go-redis is 3
	// seconds.
	maxBlock = time.Second
	// keepExpired is how long an expired message is kept for servers whose
	// clocks are behind.
	keepExpired = time.Hour
)

// Store is a [revocation.Store] in a Redis stream. Create it with [New]. It is
// safe for concurrent use by multiple goroutines.
type Store struct {
	do  Do
	key string

	mu   sync.Mutex
	walk *walk // the last read of the whole log that has not ended

	clock   time.Time // the last reply to TIME
	askedAt time.Time // when TIME replied, by this machine's clock
}

// New returns a Store in the stream at key. The key should name the
// application, such as "myapp:revocations". It need not exist. New sends no
// command. If do is nil or key is empty, Append and Read return an error.
func New(do Do, key string) *Store { return &Store{do: do, key: key} }

// Append implements [revocation.Store] with XADD. It appends up to 100 entries
// with one command. If a command fails, the entries before it are in the log.
func (s *Store) Append(ctx context.Context, entries []revocation.Entry) error {
	if s.do == nil || s.key == "" {
		return errConfig
	}
	for len(entries) > 0 {
		args := append(make([]any, 0, 3+2*min(len(entries), messageSize)), "XADD", s.key, "*")
		n := 0
		for _, e := range entries[:min(len(entries), messageSize)] {
			// A block is deleted when it is lifted, so it has its own message.
			if alone(e) && n > 0 {
				break
			}
			text, err := e.MarshalText()
			if err != nil {
				return fmt.Errorf("redisstore: %w", err)
			}
			args = append(args, field, string(text))
			n++
			if alone(e) {
				break
			}
		}
		if _, err := s.do(ctx, args...); err != nil {
			return s.explain("XADD", err)
		}
		entries = entries[n:]
	}
	return nil
}

func alone(e revocation.Entry) bool {
	return e.Kind == revocation.KindBlock || e.Kind == revocation.KindUnblock
}

// Read implements [revocation.Store]. It waits with XREAD, for at most a second
// per command. It reads with XRANGE, starting at the message of the cursor. It
// reports a gap if that message is missing or has changed. Read ignores errors
// of XDEL.
func (s *Store) Read(ctx context.Context, after revocation.Cursor, wait time.Duration) (
	revocation.Batch, error) {
	if s.do == nil || s.key == "" {
		return revocation.Batch{}, errConfig
	}
	if after != "" && !isID(idOf(after)) {
		now, err := s.time(ctx, true)
		return revocation.Batch{Gap: true, Time: now}, err
	}
	deadline := time.Now().Add(wait)
	for {
		batch, err := s.readNow(ctx, after)
		left := time.Until(deadline).Truncate(time.Millisecond)
		if err != nil || batch.Gap || len(batch.Entries) > 0 || !batch.End || left <= 0 {
			return batch, err
		}
		from := "0-0"
		if batch.Next != "" {
			from = idOf(batch.Next)
		}
		// The reply only ends the wait. XREAD does not notice that its stream
		// was deleted; XRANGE does.
		block := min(left, maxBlock)
		_, err = s.do(ctx, "XREAD", "COUNT", "1", "BLOCK",
			strconv.FormatInt(block.Milliseconds(), 10), "STREAMS", s.key, from)
		if err != nil && !isNil(err) {
			return revocation.Batch{}, s.explain("XREAD", err)
		}
	}
}

func (s *Store) readNow(ctx context.Context, after revocation.Cursor) (revocation.Batch, error) {
	from := "-"
	if after != "" {
		from = idOf(after)
	}
	reply, err := s.do(ctx, "XRANGE", s.key, from, "+", "COUNT", strconv.Itoa(readCount+1))
	if err != nil && !isNil(err) {
		return revocation.Batch{}, s.explain("XRANGE", err)
	}
	messages, _ := reply.([]any)
	idle := after != "" && len(messages) == 1
	now, err := s.time(ctx, idle)
	if err != nil {
		return revocation.Batch{}, err
	}
	batch := revocation.Batch{Next: after, Time: now}
	batch.End = len(messages) <= readCount
	if after != "" {
		if len(messages) == 0 || cursorOf(messages[0]) != after {
			return revocation.Batch{Gap: true, Time: now}, nil
		}
		messages = messages[1:]
	}
	w := s.continueWalk(after, now)
	batch.Entries = make([]revocation.Entry, 0, len(messages))
	for i, m := range messages {
		id := messageID(m)
		if !isID(id) {
			return revocation.Batch{}, fmt.Errorf("redisstore: XRANGE returned %T instead of "+
				"messages: Do must return the client's reply unchanged", m)
		}
		entries := decode(m)
		batch.Entries = append(batch.Entries, entries...)
		if i == len(messages)-1 {
			batch.Next = cursorOf(m)
		}
		// The message at the cursor is kept, because Read would report a gap
		// without it. The read that continues there visits it. The newest
		// message is therefore kept, too.
		if i < len(messages)-1 {
			w.visit(id, entries, now)
		} else if w != nil {
			w.last, w.lastEntries = id, entries
		}
	}
	s.sweep(ctx, w, batch)
	return batch, nil
}

// decode returns the entries of a message. A malformed entry or message becomes
// the zero Entry.
func decode(message any) []revocation.Entry {
	pair, _ := message.([]any)
	var fields []any
	if len(pair) == 2 {
		fields, _ = pair[1].([]any)
	}
	if len(fields) == 0 || len(fields)%2 != 0 {
		return []revocation.Entry{{}}
	}
	entries := make([]revocation.Entry, 0, len(fields)/2)
	for i := 0; i < len(fields); i += 2 {
		var e revocation.Entry
		// UnmarshalText does not change e if it fails.
		if text(fields[i]) == field {
			_ = e.UnmarshalText([]byte(text(fields[i+1])))
		}
		entries = append(entries, e)
	}
	return entries
}

// cursorOf returns the position of a message: its ID and a checksum of its
// fields. The ID alone is ambiguous: after FLUSHALL, a message of the same
// millisecond can have the ID of a deleted one.
func cursorOf(message any) revocation.Cursor {
	h := fnv.New32a()
	if pair, ok := message.([]any); ok && len(pair) == 2 {
		fields, _ := pair[1].([]any)
		for _, f := range fields {
			h.Write([]byte(text(f)))
			h.Write([]byte{0})
		}
	}
	return revocation.Cursor(fmt.Sprintf("%s/%08x", messageID(message), h.Sum32()))
}

// idOf returns the message ID in a cursor.
func idOf(c revocation.Cursor) string {
	id, _, _ := strings.Cut(string(c), "/")
	return id
}

func messageID(message any) string {
	if pair, ok := message.([]any); ok && len(pair) == 2 {
		return text(pair[0])
	}
	return ""
}

// isID reports whether s is the ID of a stream's message, such as
// 1526919030474-0.
func isID(s string) bool {
	ms, seq, ok := strings.Cut(s, "-")
	_, err1 := strconv.ParseUint(ms, 10, 64)
	_, err2 := strconv.ParseUint(seq, 10, 64)
	return ok && err1 == nil && err2 == nil
}

// text returns a string of a reply.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return ""
}

// time returns the server's clock. It sends TIME if ask is true, or if the last
// reply is older than 5 seconds. Otherwise it computes the time, so that new
// entries arrive without delay.
func (s *Store) time(ctx context.Context, ask bool) (time.Time, error) {
	s.mu.Lock()
	since := time.Since(s.askedAt)
	known := s.clock.Add(since)
	s.mu.Unlock()
	if !ask && since < 5*time.Second {
		return known, nil
	}
	reply, err := s.do(ctx, "TIME")
	if err != nil {
		return time.Time{}, s.explain("TIME", err)
	}
	pair, _ := reply.([]any)
	if len(pair) != 2 {
		return time.Time{}, fmt.Errorf("redisstore: TIME returned %T", reply)
	}
	seconds, err1 := strconv.ParseInt(text(pair[0]), 10, 64)
	micros, err2 := strconv.ParseInt(text(pair[1]), 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return time.Time{}, fmt.Errorf("redisstore: TIME: %w", err)
	}
	now := time.Unix(seconds, micros*1000)
	s.mu.Lock()
	s.clock, s.askedAt = now, time.Now()
	s.mu.Unlock()
	return now, nil
}

// walk collects the messages to delete during a read of the whole log.
type walk struct {
	next    revocation.Cursor
	expired []string             // messages to delete now
	blocks  map[string][]message // by subject; blocks, and expired ends of blocks
	lifted  map[string]time.Time // by subject; the time of the latest KindUnblock

	last        string // the message at next
	lastEntries []revocation.Entry
}

type message struct {
	id   string
	kind revocation.Kind
	at   time.Time
	old  bool
}

// continueWalk returns the walk that a read continues, or nil.
func (s *Store) continueWalk(after revocation.Cursor, now time.Time) *walk {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after == "" {
		return &walk{blocks: map[string][]message{}, lifted: map[string]time.Time{}}
	}
	if w := s.walk; w != nil && w.next == after {
		s.walk = nil
		w.visit(w.last, w.lastEntries, now)
		return w
	}
	return nil
}

// visit adds a message to the walk if it can be deleted, by the server's clock.
func (w *walk) visit(id string, entries []revocation.Entry, now time.Time) {
	if w == nil {
		return
	}
	expired := true
	for _, e := range entries {
		old := !e.Expires.IsZero() && now.Sub(e.Expires) > keepExpired
		expired = expired && old
		if alone(e) && len(entries) == 1 {
			w.blocks[e.Subject] = append(w.blocks[e.Subject], message{id, e.Kind, e.At, old})
			if e.Kind == revocation.KindUnblock && e.At.After(w.lifted[e.Subject]) {
				w.lifted[e.Subject] = e.At
			}
			return
		}
		expired = expired && !alone(e)
	}
	if expired {
		w.expired = append(w.expired, id)
	}
}

// sweep deletes the messages that the walk collected. Errors are ignored,
// because the next walk collects the same messages.
func (s *Store) sweep(ctx context.Context, w *walk, batch revocation.Batch) {
	if w == nil {
		return
	}
	remove := w.expired
	w.expired = nil
	if batch.End {
		remove = append(remove, w.obsoleteBlocks()...)
	} else {
		w.next = batch.Next
		s.mu.Lock()
		s.walk = w
		s.mu.Unlock()
	}
	for len(remove) > 0 {
		n := min(len(remove), readCount)
		args := append(make([]any, 0, 2+n), "XDEL", s.key)
		for _, id := range remove[:n] {
			args = append(args, id)
		}
		if _, err := s.do(ctx, args...); err != nil {
			return
		}
		remove = remove[n:]
	}
}

// obsoleteBlocks returns the messages of lifted blocks, and of expired unblocks
// whose blocks are already deleted.
func (w *walk) obsoleteBlocks() (remove []string) {
	for subject, messages := range w.blocks {
		left := false
		for _, m := range messages {
			if m.kind == revocation.KindBlock {
				if m.at.Before(w.lifted[subject]) {
					remove = append(remove, m.id)
				}
				left = true
			}
		}
		for _, m := range messages {
			if m.kind == revocation.KindUnblock && m.old && !left {
				remove = append(remove, m.id)
			}
		}
	}
	return remove
}

var errConfig = errors.New("redisstore: New needs a Do and a key")

// isNil reports whether err is the error of go-redis or rueidis for a nil
// reply.
func isNil(err error) bool {
	return err.Error() == "redis: nil" || strings.Contains(err.Error(), "redis nil message")
}

// explain adds advice to a known error of the server.
func (s *Store) explain(command string, err error) error {
	for _, known := range []struct{ part, advice string }{
		{"WRONGTYPE", "the key holds another type: give New a key that nothing else uses"},
		{"NOAUTH", "the server requires a password: give it to the client"},
		{"WRONGPASS", "the user name or password is wrong"},
		{"invalid username-password", "the user name or password is wrong"},
		{"NOPERM", "the user needs +xadd +xrange +xread +xdel +time on this key"},
		{"READONLY", "the server is a read-only replica: connect to the primary"},
		{"OOM", "the server's memory is full: raise maxmemory, and use noeviction"},
		{"MISCONF", "the server cannot write to its disk"},
		{"unknown command", "the server must be Redis 6.2 or later, or Valkey"},
	} {
		if strings.Contains(err.Error(), known.part) {
			return fmt.Errorf("redisstore: %s %q: %s: %w", command, s.key, known.advice, err)
		}
	}
	return fmt.Errorf("redisstore: %s %q: %w", command, s.key, err)
}
