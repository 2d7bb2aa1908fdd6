package revocation

import (
	"context"
	"time"
)

// Store is an append-only log of revocations that several servers share.
// Packages redisstore and pgstore implement it. Package storetest checks an
// implementation. Most programs do not call its methods directly.
//
// A Store must be safe for concurrent use by multiple goroutines. It may delete
// an [Entry] whose Expires has passed by the store's own clock. It may also
// delete a KindBlock entry that a KindUnblock entry with a later At follows.
type Store interface {
	// Append adds entries in order. When it returns nil, the entries are as
	// durable as the store makes them, and every later Read returns them. It
	// returns an error for a malformed Entry. Adding an entry twice is
	// harmless.
	Append(ctx context.Context, entries []Entry) error
	// Read returns the entries after a cursor, oldest first. The cursor "" is
	// the beginning of the log. If there is no entry, Read waits for one, for
	// at most wait. It may return early.
	Read(ctx context.Context, after Cursor, wait time.Duration) (Batch, error)
}

// Cursor is a position in a Store's log. Only a Store of the same log can
// interpret it.
type Cursor string

// Batch is a result of [Store.Read].
type Batch struct {
	// Entries follow the cursor, oldest first. An entry that the store cannot
	// decode is the zero Entry, which a List counts and skips.
	Entries []Entry
	// Next is the cursor for the next Read: the position after the last of
	// Entries, or the same cursor if there are none. It is "" if the log is
	// empty.
	Next Cursor
	// End means that Next is the end of the log. Every entry that was appended
	// before the call to Read is then at or before Next.
	End bool
	// Gap means that the log no longer contains the cursor's position, because
	// it was deleted, restored or replaced. Entries and Next are then empty.
	// The caller reads again from the beginning.
	Gap bool
	// Time is the store's clock shortly before Read returned. The zero time
	// means that it is unknown.
	Time time.Time
}
