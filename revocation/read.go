package revocation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// follower is the state of the goroutine that reads the store. The tail is the
// cursor that follows the log. A pass reads the whole log once: with the tail
// if that starts at the beginning, and otherwise with a second cursor, so that
// new entries do not wait for it.
type follower struct {
	tail  Cursor
	whole bool // the tail's reads so far began at the beginning of the log

	resync   bool // the second cursor reads
	cursor   Cursor
	resyncAt time.Time // when the next pass is due
	confirm  bool      // the last pass missed entries; the next pass decides
}

var errNoProgress = errors.New("revocation: the store returned neither entries nor " +
	"the end of its log")

// read follows the store until the list is closed.
func (l *List) read() {
	f := &follower{resyncAt: time.Now().Add(l.cfg.Resync)}
	for l.reading.Err() == nil {
		err := l.step(f)
		if l.reading.Err() != nil {
			return
		}
		if err == nil {
			l.recovered(&l.readState, "the store can be read again")
			continue
		}
		l.failed(&l.readState, "the store cannot be read", err)
		select {
		case <-time.After(l.backoff(&l.readState)):
		case <-l.reading.Done():
		}
	}
}

// Warm waits until the store was read to its end for the first time. It returns
// nil at once if Status.Usable is true: without a Store, or with a snapshot in
// Initial that can be used. Otherwise ctx bounds the wait. The error matches
// [ErrNotReady] and has the last error of the store. It also matches the cause
// of ctx if that ended, and otherwise reports that the list is closed.
func (l *List) Warm(ctx context.Context) error {
	if l.cfg.Store == nil || l.Status().Usable {
		return nil
	}
	var cause error
	select {
	case <-l.ready:
		return nil
	case <-l.reading.Done():
		cause = errClosed
	case <-ctx.Done():
		cause = context.Cause(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readState.last != nil {
		cause = fmt.Errorf("%w: %w", cause, l.readState.last)
	}
	return fmt.Errorf("%w: %w", ErrNotReady, cause)
}

// step reads from the store once, or twice in a pass of the second cursor.
func (l *List) step(f *follower) error {
	now := time.Now()
	if f.tail == "" && !f.whole {
		f.whole, f.resync = true, false
		l.beginPass()
	} else if !f.whole && !f.resync && !now.Before(f.resyncAt) {
		f.resync, f.cursor = true, ""
		l.beginPass()
	}
	wait := max(min(l.cfg.Poll, f.resyncAt.Sub(now)), 0)
	if f.resync {
		wait = 0
	}
	if f.whole && f.tail == "" {
		l.mu.Lock()
		if l.fresh.Load() == nil {
			wait = 0 // an empty log is an answer, too
		}
		l.mu.Unlock()
	}

	sent := l.cfg.Now()
	batch, err := l.readStore(f.tail, wait)
	if err != nil {
		return err
	}
	if batch.Gap {
		if f.tail == "" {
			return errNoProgress
		}
		f.tail, f.whole, f.resync = "", false, false
		l.gap("the store's log was deleted or replaced; reading it from the beginning")
		return nil
	}
	if batch.Next == f.tail && !batch.End {
		return errNoProgress
	}
	l.mergeBatch(batch)
	f.tail = batch.Next
	if batch.End {
		l.proved(sent)
		if f.whole {
			f.whole = false
			l.endPass(f)
		}
	}
	if !f.resync {
		return nil
	}

	batch, err = l.readStore(f.cursor, 0)
	if err != nil {
		return err
	}
	if batch.Gap {
		f.resync = false // the tail will notice it, or the next pass
		return nil
	}
	if batch.Next == f.cursor && !batch.End {
		return errNoProgress
	}
	l.mergeBatch(batch)
	f.cursor = batch.Next
	if batch.End {
		f.resync = false
		l.endPass(f)
	}
	return nil
}

func (l *List) readStore(after Cursor, wait time.Duration) (Batch, error) {
	batch, err := call(l, l.reading, wait+l.cfg.Timeout, func(ctx context.Context) (Batch, error) {
		return l.cfg.Store.Read(ctx, after, wait)
	})
	if err == nil {
		l.setClock(batch.Time)
		select {
		case <-l.answered:
		default:
			close(l.answered)
		}
	}
	return batch, err
}

// setClock stores a reading of the store's clock. It logs once if this server's
// clock differs by more than maxAhead.
func (l *List) setClock(store time.Time) {
	if store.IsZero() {
		return
	}
	l.mu.Lock()
	now := l.cfg.Now()
	l.clock = clock{store: store, local: now}
	skew := now.Sub(store)
	l.status.ClockSkew = skew
	far := skew.Abs() > maxAhead
	report := far && !l.skewed
	l.skewed = far
	l.mu.Unlock()
	if report {
		l.cfg.Logger.Warn("revocation: the clocks of this server and the store differ",
			"ahead", skew.Round(time.Millisecond))
	}
}

// mergeBatch adds the store's entries to the list.
func (l *List) mergeBatch(batch Batch) {
	malformed := 0
	l.mu.Lock()
	now := l.cfg.Now()
	l.sweep(now, time.Hour)
	expired := l.expired(now)
	latest := now
	if batch.Time.After(now) {
		latest = batch.Time
	}
	latest = latest.Add(farFuture)
	for _, e := range batch.Entries {
		p, ok := pack(e)
		if !ok || p.kind != KindToken && e.At.After(latest) {
			malformed++
			continue
		}
		// An expired KindUnblock still ends a KindBlock, which does not expire.
		if expired(p.expires) && p.kind != KindUnblock {
			continue
		}
		l.merge(p)
	}
	first := malformed > 0 && l.status.Malformed == 0
	l.status.Malformed += malformed
	l.mu.Unlock()
	if first {
		l.cfg.Logger.Warn("revocation: skipped entries of the store that are malformed, of an "+
			"unknown kind or version, or far in the future; Status.Malformed counts them",
			"entries", malformed)
	}
}

// proved records that the list has every entry that the store had at a time.
func (l *List) proved(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.fresh.Store(l.provenAt(at))
	select {
	case <-l.ready:
	default:
		close(l.ready)
	}
}

// gap counts and logs a loss.
func (l *List) gap(message string, args ...any) {
	l.mu.Lock()
	l.status.Gaps++
	l.mu.Unlock()
	l.cfg.Logger.Warn("revocation: "+message, args...)
}

// beginPass starts a new epoch. Entries that the store returns, and those that
// are added here, are marked with it.
func (l *List) beginPass() {
	l.mu.Lock()
	l.epoch = l.epoch%255 + 1
	l.mu.Unlock()
}

// endPass is called when the whole log was read. Entries without the mark of
// the epoch are missing from the store. Another server may be writing them, so
// they are written after a random time and a second pass that misses them, too.
func (l *List) endPass(f *follower) {
	l.mu.Lock()
	missing := l.missing(f.confirm)
	l.mu.Unlock()
	confirmed := f.confirm && missing > 0
	f.confirm = missing > 0 && !f.confirm
	f.resyncAt = time.Now().Add(l.cfg.Resync)
	if f.confirm {
		f.resyncAt = time.Now().Add(rand.N(5 * time.Second))
	}
	if confirmed {
		l.gap("the store has lost entries, which this server writes back", "entries", missing)
	}
}

// missing counts the entries that the last pass did not find in the store, and
// enqueues them if write is true. The caller holds mu.
func (l *List) missing(write bool) int {
	expired := l.expired(l.cfg.Now())
	count := 0
	for t := range l.tables {
		l.tables[t].each(func(s *slot) bool {
			state := s.state.Load()
			if state&epochMask != l.epoch<<epochShift && state&flagQueued == 0 &&
				!expired(s.expires()) {
				count++
				if write {
					l.enqueue(uint8(t), s, true)
				}
			}
			return true
		})
	}
	return count
}
