package revocation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// batchSize is how many entries one call of Append gets.
const batchSize = 1000

// ref is an entry in the queue of changes that the store does not have.
type ref struct {
	id    id
	seq   uint64
	table uint8
	again bool // the store has lost it; see missing
}

// enqueue puts s into the queue, unless the queue already has it. The caller
// holds mu.
func (l *List) enqueue(table uint8, s *slot, again bool) {
	if s.state.Load()&flagQueued != 0 {
		return // the writer reads the state of the slot later
	}
	s.state.Or(flagQueued)
	l.nextSeq++
	l.queue = append(l.queue, ref{id: s.id(), seq: l.nextSeq, table: table, again: again})
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// awaitShared waits until the store has every change up to seq.
func (l *List) awaitShared(ctx context.Context, seq uint64) error {
	timer := time.NewTimer(l.cfg.Timeout)
	defer timer.Stop()
	for {
		l.mu.Lock()
		done, acked := l.ackSeq >= seq, l.acked
		l.mu.Unlock()
		if done {
			return nil
		}
		var cause error
		select {
		case <-acked:
			continue
		case <-timer.C:
			l.mu.Lock()
			cause = cmp.Or(l.writeState.last, l.readState.last)
			l.mu.Unlock()
		case <-ctx.Done():
			cause = context.Cause(ctx)
		case <-l.writing.Done():
			cause = errClosed
		}
		if cause == nil {
			cause = fmt.Errorf("the store did not answer within %v", l.cfg.Timeout)
		}
		return fmt.Errorf("%w: %w", ErrNotYetShared, cause)
	}
}

// write appends the queue to the store until the list is closed, and then until
// the queue is empty or Close gives up. It starts after the first answer of the
// store, because restamp needs the store's clock.
func (l *List) write() {
	select {
	case <-l.answered:
	case <-l.closing:
		if l.pending() == 0 {
			return
		}
	}
	for {
		refs, entries := l.take()
		if len(entries) == 0 {
			l.finish(refs, nil)
			if len(refs) > 0 {
				continue
			}
			select {
			case <-l.wake:
				continue
			case <-l.closing:
			}
			if l.pending() == 0 {
				return
			}
			continue
		}
		_, err := call(l, l.writing, l.cfg.Timeout, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, l.cfg.Store.Append(ctx, entries)
		})
		l.finish(refs, err)
		if err == nil {
			continue
		}
		select {
		case <-time.After(l.backoff(&l.writeState)):
		case <-l.writing.Done():
			return
		}
	}
}

func (l *List) pending() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) + l.writes
}

// take returns the oldest part of the queue and its entries. A lost entry that
// was read from the store since it was queued has no entry.
func (l *List) take() ([]ref, []Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.queue), batchSize)
	refs := l.queue[:n:n]
	l.queue = l.queue[n:]
	if len(l.queue) == 0 {
		l.queue = nil
	}
	l.writes = n
	now := l.cfg.Now()
	entries := make([]Entry, 0, n)
	for _, r := range refs {
		s := l.tables[r.table].find(r.id)
		if s == nil {
			continue
		}
		s.state.And(^uint64(flagQueued))
		l.restamp(r.table, s, now)
		state := s.state.Load()
		if r.again && state&epochMask == l.epoch<<epochShift {
			continue
		}
		entries = append(entries, unpack(r.table, s).entry())
	}
	return refs, entries
}

// restamp corrects the time of a change that was made before the store's clock
// was known. The caller holds mu.
func (l *List) restamp(table uint8, s *slot, now time.Time) {
	state := s.state.Load()
	if state&flagLocal == 0 || l.clock.store.IsZero() {
		return
	}
	kind := unpack(table, s).kind
	if kind == KindUser || table == blocks {
		at := l.stamp(kind, time.UnixMilli(atOf(state)), now)
		state = state&^(maxAt-1) | uint64(at)
		if s.expires() != 0 {
			s.setExpires(max(seconds(time.UnixMilli(at).Add(l.keep())), 1))
		}
	}
	s.state.Store(state &^ flagLocal)
}

func unpack(table uint8, s *slot) packed {
	state := s.state.Load()
	p := packed{id: s.id(), at: atOf(state), expires: s.expires()}
	switch table {
	case users:
		p.kind = KindUser
	case tokens:
		p.kind = KindToken
	case all:
		p.kind = KindAll
	default:
		p.kind = KindUnblock
		if state&flagBlock != 0 {
			p.kind = KindBlock
		}
	}
	return p
}

// finish acknowledges refs, or puts them back in front of the queue.
func (l *List) finish(refs []ref, err error) {
	if len(refs) == 0 {
		return
	}
	l.mu.Lock()
	l.writes = 0
	if err != nil {
		// An entry that was changed during the call is in the queue already. It
		// is then written twice.
		for _, r := range refs {
			if s := l.tables[r.table].find(r.id); s != nil {
				s.state.Or(flagQueued)
			}
		}
		l.queue = append(refs, l.queue...)
		l.mu.Unlock()
		l.failed(&l.writeState, "the store cannot be written: revocations are in force on this "+
			"server only, and will be written later", err)
		return
	}
	l.ackSeq = refs[len(refs)-1].seq
	close(l.acked)
	l.acked = make(chan struct{})
	l.mu.Unlock()
	l.recovered(&l.writeState, "the store can be written again")
}

// Close writes the pending changes to the store and stops following it. It
// gives up after Timeout. The error then matches [ErrNotYetShared], and the
// changes are lost unless a [List.Snapshot] was kept.
//
// [List.Revoked] continues to work. With a Store, it returns [ErrStale] after
// MaxStaleness, and a change after Close stays in this process: its error
// matches ErrNotYetShared. Close leaves no goroutine, unless a client of the
// store ignores its context for longer than Timeout plus a second. It may be
// called more than once.
func (l *List) Close() error {
	if l.cfg.Store == nil {
		return nil
	}
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	if first {
		l.stopReading()
		close(l.closing)
		time.AfterFunc(l.cfg.Timeout, l.stopWriting)
	}
	l.loops.Wait()
	l.stopWriting()

	ended := make(chan struct{})
	go func() {
		l.calls.Wait()
		close(ended)
	}()
	timer := time.NewTimer(l.cfg.Timeout + time.Second)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
	}
	if n := l.pending(); n > 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		return fmt.Errorf("%w: closed with %d changes that the store does not have: %w",
			ErrNotYetShared, n, l.writeState.last)
	}
	return nil
}

// maxCalls bounds the calls in progress, including those whose client ignored
// their deadline.
const maxCalls = 8

var errCalls = errors.New("revocation: calls hang: the store's client must obey its context")

// call runs f with a deadline. It returns at the deadline even if f ignores it,
// and then drops the result of f.
func call[T any](l *List, ctx context.Context, timeout time.Duration,
	f func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var zero T
	if l.hanging.Add(1) > maxCalls {
		l.hanging.Add(-1)
		return zero, errCalls
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	done := make(chan result, 1)
	l.calls.Go(func() {
		defer l.hanging.Add(-1)
		defer cancel()
		value, err := f(ctx)
		done <- result{value, err}
	})
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-done:
		return r.value, r.err
	default:
		return zero, ctx.Err()
	}
}

// errorState counts the failures of the reader or the writer. It is guarded by
// List.mu.
type errorState struct {
	failures int
	last     error // nil after a success
}

// failed counts a failure, and logs the first in a row.
func (l *List) failed(s *errorState, message string, err error) {
	l.mu.Lock()
	s.failures++
	s.last = err
	first := s.failures == 1
	l.status.LastError = err.Error()
	l.status.ErrorAt = l.cfg.Now()
	l.mu.Unlock()
	if first {
		l.cfg.Logger.Warn("revocation: "+message, "error", err)
	}
}

func (l *List) recovered(s *errorState, message string) {
	l.mu.Lock()
	failures := s.failures
	s.failures, s.last = 0, nil
	l.mu.Unlock()
	if failures > 0 {
		l.cfg.Logger.Info("revocation: "+message, "failures", failures)
	}
}

// backoff returns how long to wait after a failure, at most a second. A random
// part prevents servers from retrying together.
func (l *List) backoff(s *errorState) time.Duration {
	l.mu.Lock()
	n := s.failures
	l.mu.Unlock()
	d := min(50*time.Millisecond<<min(n, 5), time.Second)
	return d/2 + rand.N(d/2)
}
