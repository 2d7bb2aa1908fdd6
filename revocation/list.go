package revocation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parajwt/parajwt/claims"
)

// Errors of a [List].
var (
	// ErrNotReady means that the store was never read to its end, and there was
	// no Initial. The list may miss any revocation, so every token must be
	// refused.
	ErrNotReady = errors.New("revocation: the store was not read yet")
	// ErrStale means that the last read to the end of the store's log was more
	// than MaxStaleness ago.
	ErrStale = errors.New("revocation: the list is stale")
	// ErrFull means that the list holds Limit entries. Nothing was revoked.
	// Raise Limit, or use RevokeIssuedBefore.
	ErrFull = errors.New("revocation: the list is full")
	// ErrNotYetShared means that a change is in force in this process, and the
	// store may not have it yet. The list retries until the store has it, or
	// until Close gives up.
	ErrNotYetShared = errors.New("revocation: in force on this server, not shared yet")
)

const (
	maxAhead     = 30 * time.Second // a clock further ahead of the store's is not used
	farFuture    = 24 * time.Hour   // an entry of a later time is malformed
	maxFuture    = time.Hour        // of the time given to RevokeIssuedBefore
	minFilter    = 1024
	staleWarning = 10 * time.Second
)

// List is a list of users and tokens to refuse although their tokens have not
// expired. [List.Revoked] fits middleware.Config.Revoked.
//
// Without a Store, the list is in memory only. With a Store, it follows the
// store's log: a revocation is in force on every server within Poll plus
// Timeout, and usually within milliseconds. While the store cannot be reached,
// each server uses its list until MaxStaleness, and then refuses every token
// unless AcceptStale.
//
// A revocation does not end the session at Para. A client whose session is
// still active can get a new token without logging in; see [List.BlockUser].
//
// A List is safe for concurrent use by multiple goroutines. Call Close when
// done.
type List struct {
	cfg Config

	// What Revoked reads. It takes no lock and writes nothing.
	tables [numTables]table
	before atomic.Int64 // tokens issued before this are refused; milliseconds since 1970
	fresh  atomic.Pointer[freshness]

	mu         sync.Mutex // guards changes of the above, and the rest
	swept      time.Time
	epoch      uint64 // of the pass over the store's log; 1 to 255
	queue      []ref  // to be written to the store, oldest first
	writes     int    // entries in the current call of Append
	nextSeq    uint64
	ackSeq     uint64        // the store has every change up to this one
	acked      chan struct{} // closed and replaced when ackSeq changes
	closed     bool
	clock      clock
	status     Status
	skewed     bool // the warning was logged
	writeState errorState
	readState  errorState

	ready       chan struct{} // closed after the first full read
	answered    chan struct{} // closed after the first answer of the store
	closing     chan struct{}
	wake        chan struct{} // to the writer
	reading     context.Context
	stopReading context.CancelFunc
	writing     context.Context
	stopWriting context.CancelFunc
	loops       sync.WaitGroup // read and write
	calls       sync.WaitGroup // of the store
	hanging     atomic.Int64   // calls of the store in progress
}

// The tables of a List.
const (
	users = iota
	tokens
	blocks
	all // one entry without an ID
	numTables
)

func tableOf(k Kind) uint8 {
	switch k {
	case KindUser:
		return users
	case KindToken:
		return tokens
	case KindAll:
		return all
	}
	return blocks
}

// freshness is the last proof that the list had every entry of the store.
type freshness struct {
	always bool      // there is no store
	at     time.Time // when the read was sent
	wall   int64     // the same, in nanoseconds since 1970
	until  time.Time // at plus MaxStaleness, with the reading of the monotonic clock
	limit  int64     // wall plus MaxStaleness
}

// provenAt returns the freshness of a read that was sent at a time.
func (l *List) provenAt(at time.Time) *freshness {
	wall := at.UnixNano()
	return &freshness{
		at: at, wall: wall,
		until: at.Add(l.cfg.MaxStaleness), limit: wall + int64(l.cfg.MaxStaleness),
	}
}

// holds reports whether staleness(now) is at most MaxStaleness.
func (f *freshness) holds(now time.Time) bool {
	return f.always || !now.After(f.until) && now.UnixNano() <= f.limit
}

// staleness returns the time since the proof, by the monotonic or the wall
// clock, whichever is longer. The monotonic clock stops while a machine is
// suspended.
func (f *freshness) staleness(now time.Time) time.Duration {
	return max(now.Sub(f.at), time.Duration(now.UnixNano()-f.wall), 0)
}

// clock is the store's clock as last read.
type clock struct {
	store time.Time // zero: unknown
	local time.Time
}

// now returns the reading of the store's clock at the time local of this
// server's clock.
func (c clock) now(local time.Time) time.Time { return c.store.Add(local.Sub(c.local)) }

// Revoked reports whether to refuse a user whose token is otherwise valid. It
// fits middleware.Config.Revoked. It does no I/O and takes no lock. It does not
// allocate unless the user or token is on the list. It does not use its
// context.
//
// now is a reading of Config.Now. The error matches [ErrNotReady] or
// [ErrStale], or reports that user is nil. Refuse the token if there is an
// error. A known revocation is reported as true and nil, also before the first
// read, while the list is stale, and after Close.
//
// Only [List.BlockUser] and [List.RevokeToken] affect a user without IssuedAt.
// No revocation affects the user of a verification token, who has neither a
// UserID nor a TokenID.
func (l *List) Revoked(_ context.Context, user *claims.Claims, now time.Time) (bool, error) {
	if user == nil {
		return false, errNoClaims
	}
	if l.mayList(user) && l.listed(user) {
		return true, nil
	}
	if before := l.before.Load(); before != 0 && !user.IssuedAt.IsZero() &&
		user.IssuedAt.UnixMilli() < before {
		return true, nil
	}
	fresh := l.fresh.Load()
	if fresh == nil {
		return false, ErrNotReady
	}
	if !fresh.holds(now) && !l.cfg.AcceptStale {
		return false, ErrStale
	}
	return false, nil
}

// mayList reports whether a filter has the user or the token. An ID is hashed
// only if a table that could have it has entries.
func (l *List) mayList(user *claims.Claims) bool {
	ofUsers, ofBlocks := l.tables[users].filter.Load(), l.tables[blocks].filter.Load()
	if ofUsers != nil || ofBlocks != nil {
		if hash := filterHash(user.UserID); ofUsers.has(hash) || ofBlocks.has(hash) {
			return true
		}
	}
	ofTokens := l.tables[tokens].filter.Load()
	return ofTokens != nil && ofTokens.has(filterHash(user.TokenID))
}

// listed reports whether the user or the token is on the list. It looks them up
// in the tables.
func (l *List) listed(user *claims.Claims) bool {
	if user.UserID != "" {
		id := identify(user.UserID)
		if s := l.tables[blocks].find(id); s != nil && s.state.Load()&flagBlock != 0 {
			return true
		}
		if s := l.tables[users].find(id); s != nil && !user.IssuedAt.IsZero() &&
			user.IssuedAt.UnixMilli() <= atOf(s.state.Load()) {
			return true
		}
	}
	return user.TokenID != "" && l.tables[tokens].find(identify(user.TokenID)) != nil
}

// RevokeUser refuses every token of this user that was issued up to now. It
// implements "log out everywhere". A token that is issued in a later second is
// accepted. A client whose session at Para is still active can get such a
// token; see [List.BlockUser].
//
// RevokeUser returns nil when the store has the revocation, or at once without
// a Store. It waits for the store for at most Config.Timeout. The error matches
// [ErrFull] or [ErrNotYetShared], or reports an empty user ID.
//
// The time of the revocation is the later of this server's clock and the
// store's. It is the store's if this server's clock is more than 30 seconds
// ahead. It is compared with iat, which is a time of Para's clock. If Para's
// clock is ahead of both, a token that was issued shortly before the call, by
// less than the difference, is accepted. RevokeToken and BlockUser do not depend
// on clocks.
func (l *List) RevokeUser(ctx context.Context, userID string) error {
	if userID == "" {
		return errNoUserID
	}
	return l.change(ctx, packed{kind: KindUser, id: identify(userID)})
}

// RevokeToken refuses the token that user was read from, and no other token. It
// implements "log out on this device". The list keeps the entry until 5 minutes
// after the token expires. RevokeToken waits for the store like
// [List.RevokeUser]. The error matches [ErrFull] or [ErrNotYetShared], or
// reports claims that are nil or have no TokenID.
func (l *List) RevokeToken(ctx context.Context, user *claims.Claims) error {
	if user == nil {
		return errNoClaims
	}
	if user.TokenID == "" {
		return errNoTokenID
	}
	p := packed{kind: KindToken, id: identify(user.TokenID)}
	if !user.ExpiresAt.IsZero() {
		p.expires = seconds(user.ExpiresAt.Add(leeway))
	}
	return l.change(ctx, p)
}

// RevokeIssuedBefore refuses every token, of every user, that was issued before
// t. A call with an earlier t than that of a previous call has no effect.
// Config.Limit does not apply. RevokeIssuedBefore waits for the store like
// [List.RevokeUser]. The error matches [ErrNotYetShared], or reports a t that
// is more than an hour in the future or not after the beginning of 1970.
func (l *List) RevokeIssuedBefore(ctx context.Context, t time.Time) error {
	at := t.UnixMilli()
	if t.Nanosecond()%1e6 != 0 {
		at++
	}
	if at <= 0 || t.After(l.cfg.Now().Add(maxFuture)) {
		return fmt.Errorf("revocation: RevokeIssuedBefore(%v): use a time since 1970 and "+
			"at most %v in the future", t, maxFuture)
	}
	return l.change(ctx, packed{kind: KindAll, at: at, expires: seconds(t.Add(l.keep()))})
}

// BlockUser refuses every token of this user, including tokens issued later,
// until [List.UnblockUser]. It implements a ban. It waits for the store like
// [List.RevokeUser], and returns the same errors.
func (l *List) BlockUser(ctx context.Context, userID string) error {
	if userID == "" {
		return errNoUserID
	}
	return l.change(ctx, packed{kind: KindBlock, id: identify(userID)})
}

// UnblockUser ends the block of a user. It does not undo [List.RevokeUser] or
// another revocation. If several servers block and unblock a user, the latest
// call by the store's clock counts. Config.Limit does not apply. UnblockUser
// waits for the store like [List.RevokeUser]. The error matches
// [ErrNotYetShared], or reports an empty user ID.
func (l *List) UnblockUser(ctx context.Context, userID string) error {
	if userID == "" {
		return errNoUserID
	}
	return l.change(ctx, packed{kind: KindUnblock, id: identify(userID)})
}

var (
	errNoUserID  = errors.New("revocation: the user ID is empty")
	errNoClaims  = errors.New("revocation: the claims are nil")
	errNoTokenID = errors.New("revocation: the claims have no TokenID: use those of a token")
	errClosed    = errors.New("the list is closed")
)

// keep returns how long a revocation of tokens issued up to now has an effect.
func (l *List) keep() time.Duration { return l.cfg.MaxTokenLife + leeway }

// seconds returns t in seconds since 1970, rounded up, in the range of a slot.
func seconds(t time.Time) uint32 {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return uint32(min(max(s, 1), 1<<32-1))
}

// change adds p to the list and waits until the store has it. It sets the times
// that p lacks.
func (l *List) change(ctx context.Context, p packed) error {
	l.mu.Lock()
	now := l.cfg.Now()
	local, s, err := l.enter(p, now)
	if err != nil || l.cfg.Store == nil {
		l.mu.Unlock()
		return err
	}
	if l.closed {
		l.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrNotYetShared, errClosed)
	}
	if local {
		s.state.Or(flagLocal)
	}
	l.enqueue(tableOf(p.kind), s, false)
	seq := l.nextSeq
	l.mu.Unlock()
	return l.awaitShared(ctx, seq)
}

// enter adds p to the list. local reports whether its time comes from a clock
// that was not compared with the store's. The caller holds mu.
func (l *List) enter(p packed, now time.Time) (local bool, s *slot, err error) {
	l.sweep(now, time.Hour)
	s = l.tables[tableOf(p.kind)].find(p.id)
	if s == nil && p.kind != KindAll && p.kind != KindUnblock && l.entries() >= l.cfg.Limit {
		if l.sweep(now, time.Second); l.entries() >= l.cfg.Limit {
			return false, nil, ErrFull
		}
	}
	if p.at == 0 {
		local = l.clock.store.IsZero() && l.cfg.Store != nil
		p.at = l.stamp(p.kind, now, now)
		if s != nil && tableOf(p.kind) == blocks {
			// On one server the later call counts, also within a millisecond.
			p.at = max(p.at, atOf(s.state.Load())+1)
		}
	}
	if p.expires == 0 && p.kind != KindBlock {
		p.expires = seconds(time.UnixMilli(p.at).Add(l.keep()))
	}
	return local, l.merge(p), nil
}

// stamp returns the time of a revocation, in milliseconds since 1970. at is the
// time by this server's clock. It is corrected if the store's clock is known.
func (l *List) stamp(kind Kind, at, now time.Time) int64 {
	if !l.clock.store.IsZero() {
		ahead := now.Sub(l.clock.now(now))
		if tableOf(kind) == blocks || ahead < 0 || ahead > maxAhead {
			at = at.Add(-ahead)
		}
	}
	return min(max(at.UnixMilli(), 1), maxAt-1)
}

// merge adds p to the list and returns its slot. The result does not depend on
// the order of calls. The caller holds mu.
func (l *List) merge(p packed) *slot {
	t := &l.tables[tableOf(p.kind)]
	epoch := l.epoch << epochShift
	state := uint64(p.at) | epoch
	if p.kind == KindBlock {
		state |= flagBlock
	}
	s := t.find(p.id)
	if s == nil {
		s = t.add(p.id, state, p.expires)
		if p.kind != KindAll {
			t.filterAdd(p.id.hash)
		}
	} else {
		old := s.state.Load()
		// If a block and its end have the same time, the block counts.
		newer := p.at > atOf(old) || p.at == atOf(old) && p.kind == KindBlock
		switch {
		case newer:
			if p.kind == KindBlock || p.kind == KindUnblock {
				s.setExpires(p.expires)
			} else {
				s.setExpires(max(p.expires, s.expires()))
			}
			s.state.Store(state | old&flagQueued)
		case p.at == atOf(old) || p.kind == KindToken:
			s.setExpires(max(p.expires, s.expires()))
			if p.kind != KindUnblock || old&flagBlock == 0 {
				s.state.Store(old&^epochMask | epoch)
			}
		}
	}
	if p.kind == KindAll {
		l.before.Store(atOf(s.state.Load()))
	}
	return s
}

// entries returns the number of entries that Limit bounds. The caller holds mu.
func (l *List) entries() int {
	return l.tables[users].used + l.tables[tokens].used + l.tables[blocks].used
}

// sweep removes the entries that have expired by this clock and by the store's.
// It does nothing if less time than every has passed since the last sweep. The
// caller holds mu.
func (l *List) sweep(now time.Time, every time.Duration) {
	if since := now.Sub(l.swept); since >= 0 && since < every {
		return
	}
	l.swept = now
	expired := l.expired(now)
	for t := range all {
		before := l.tables[t].used
		l.tables[t].purge(func(s *slot) bool {
			return expired(s.expires()) && s.state.Load()&flagQueued == 0
		})
		if l.tables[t].used < before {
			l.tables[t].rebuildFilter()
		}
	}
}

// expired returns a function that reports whether an entry has expired by this
// clock and by the store's, because each of them may be wrong.
func (l *List) expired(now time.Time) func(expires uint32) bool {
	if !l.clock.store.IsZero() {
		if store := l.clock.now(now); store.Before(now) {
			now = store
		}
	}
	seconds := now.Unix()
	return func(expires uint32) bool { return expires != 0 && int64(expires) < seconds }
}

// String returns the number of entries, such as "revocation list of 3 entries".
// It contains no ID.
func (l *List) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("revocation list of %d entries", l.entries())
}

// Format prints String for every verb, including %+v and %#v.
func (l *List) Format(f fmt.State, _ rune) { fmt.Fprint(f, l.String()) }

// Status describes a [List], for a health endpoint or a metric. It marshals to
// JSON, with durations in nanoseconds. It contains no IDs.
type Status struct {
	// Ready reports whether the store or Initial was read. It is true without a
	// Store.
	Ready bool `json:"ready"`
	// Usable reports whether [List.Revoked] can report that a token is not
	// revoked. Use it for readiness checks.
	Usable bool `json:"usable"`
	// Stale reports whether Staleness is too high. The limit is the longer of
	// 10 seconds and 2 × Poll + Timeout, but at most MaxStaleness. Use it for
	// alerts.
	Stale bool `json:"stale"`
	// Staleness is the time since the last read that reached the end of the
	// log. It is 0 without a Store, and while Ready is false.
	Staleness time.Duration `json:"staleness"`
	Entries   int           `json:"entries"`   // on the list
	Pending   int           `json:"pending"`   // changes that the store does not have yet
	Gaps      int           `json:"gaps"`      // losses of the store that were noticed, since New
	Malformed int           `json:"malformed"` // entries of the store that were skipped, since New
	// ClockSkew is this server's clock less the store's. It is 0 if the store's
	// clock is unknown.
	ClockSkew time.Duration `json:"clockSkew"`
	// Failures is the number of failed calls in a row, of reads and of writes
	// together.
	Failures  int       `json:"failures"`
	LastError string    `json:"lastError,omitempty"` // kept after a success
	ErrorAt   time.Time `json:"errorAt,omitzero"`    // of the last failure, kept after a success
}

// Status returns the status of the list. It does not wait for the store.
func (l *List) Status() Status {
	now := l.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.status
	st.Entries = l.entries()
	if l.tables[all].used > 0 {
		st.Entries++
	}
	st.Pending = len(l.queue) + l.writes
	st.Failures = l.readState.failures + l.writeState.failures
	fresh := l.fresh.Load()
	switch {
	case fresh == nil:
	case fresh.always:
		st.Ready, st.Usable = true, true
	default:
		st.Ready = true
		st.Staleness = fresh.staleness(now)
		st.Usable = st.Staleness <= l.cfg.MaxStaleness || l.cfg.AcceptStale
		st.Stale = st.Staleness > min(max(staleWarning, 2*l.cfg.Poll+l.cfg.Timeout),
			l.cfg.MaxStaleness)
	}
	return st
}
