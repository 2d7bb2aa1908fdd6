package revocation

import (
	"math/bits"
	"sync/atomic"
)

// table maps IDs to times in open addressing, 32 bytes a slot. Any number of
// goroutines may call find while one, the holder of List.mu, changes it. Its
// shards grow one at a time, so that growing needs little memory at once.
type table struct {
	shards [64]atomic.Pointer[shard]
	filter atomic.Pointer[filter] // nil while the table is empty
	used   int                    // entries; guarded by List.mu
}

type shard struct {
	slots []slot
	used  int // guarded by List.mu
}

// slot is one entry. A slot whose state is 0 is free. The other words are
// stored before state becomes non-zero, and hi, lo and the hash do not change
// after that.
type slot struct {
	state  atomic.Uint64 // At in 48 bits, an epoch in 8, and flags
	hi, lo atomic.Uint64
	rest   atomic.Uint64 // Expires in 32 bits, the filter's hash in 32
}

// The upper 16 bits of slot.state.
const (
	epochShift = 48
	epochMask  = 0xff << epochShift // the last epoch in which the store was known to have it
	flagBlock  = 1 << 56            // in the table of blocks: KindBlock, not KindUnblock
	flagQueued = 1 << 57            // is in List.queue
	flagLocal  = 1 << 58            // At is of a clock that was not compared with the store's
)

func atOf(state uint64) int64 { return int64(state & (maxAt - 1)) }

func (s *slot) id() id {
	return id{hash: uint32(s.rest.Load()), hi: s.hi.Load(), lo: s.lo.Load()}
}

func (s *slot) expires() uint32 { return uint32(s.rest.Load() >> 32) }

func (s *slot) setExpires(t uint32) {
	s.rest.Store(uint64(t)<<32 | s.rest.Load()&0xffffffff)
}

// find returns the slot of i, or nil.
func (t *table) find(i id) *slot {
	sh := t.shards[i.lo%uint64(len(t.shards))].Load()
	if sh == nil {
		return nil
	}
	at, _ := bits.Mul64(i.hi, uint64(len(sh.slots)))
	for range sh.slots {
		s := &sh.slots[at]
		if s.state.Load() == 0 {
			return nil
		}
		if s.hi.Load() == i.hi && s.lo.Load() == i.lo {
			return s
		}
		if at++; at == uint64(len(sh.slots)) {
			at = 0
		}
	}
	return nil
}

// add stores an ID that is not in the table. state must not be 0.
func (t *table) add(i id, state uint64, expires uint32) *slot {
	n := i.lo % uint64(len(t.shards))
	sh := t.shards[n].Load()
	if sh == nil || sh.used >= len(sh.slots)*4/5 {
		used := 0
		if sh != nil {
			used = sh.used
		}
		sh = sh.resized(used+used/4+8, nil)
		t.shards[n].Store(sh)
	}
	t.used++
	return sh.add(i, state, expires)
}

func (sh *shard) add(i id, state uint64, expires uint32) *slot {
	at, _ := bits.Mul64(i.hi, uint64(len(sh.slots)))
	for sh.slots[at].state.Load() != 0 {
		if at++; at == uint64(len(sh.slots)) {
			at = 0
		}
	}
	s := &sh.slots[at]
	s.hi.Store(i.hi)
	s.lo.Store(i.lo)
	s.rest.Store(uint64(expires)<<32 | uint64(i.hash))
	s.state.Store(state)
	sh.used++
	return s
}

// resized returns a copy of sh with room for n entries, without the slots for
// which drop returns true. sh and drop may be nil.
func (sh *shard) resized(n int, drop func(*slot) bool) *shard {
	to := &shard{slots: make([]slot, n+n/4+4)}
	if sh == nil {
		return to
	}
	for at := range sh.slots {
		s := &sh.slots[at]
		if state := s.state.Load(); state != 0 && (drop == nil || !drop(s)) {
			to.add(s.id(), state, s.expires())
		}
	}
	return to
}

// each calls f with every slot until f returns false. f must not add slots.
func (t *table) each(f func(*slot) bool) bool {
	for n := range t.shards {
		sh := t.shards[n].Load()
		if sh == nil {
			continue
		}
		for at := range sh.slots {
			if s := &sh.slots[at]; s.state.Load() != 0 && !f(s) {
				return false
			}
		}
	}
	return true
}

// purge removes the entries for which drop returns true.
func (t *table) purge(drop func(*slot) bool) {
	for n := range t.shards {
		sh := t.shards[n].Load()
		if sh == nil {
			continue
		}
		gone := 0
		for at := range sh.slots {
			if s := &sh.slots[at]; s.state.Load() != 0 && drop(s) {
				gone++
			}
		}
		switch {
		case gone == 0:
			continue
		case gone == sh.used:
			t.shards[n].Store(nil)
		default:
			left := sh.used - gone
			t.shards[n].Store(sh.resized(left+left/8, drop))
		}
		t.used -= gone
	}
}

// filterAdd adds the ID of a new entry to the filter.
func (t *table) filterAdd(hash uint32) {
	if f := t.filter.Load(); f != nil && t.used <= f.room {
		f.add(hash)
		return
	}
	t.rebuildFilter()
}

func (t *table) rebuildFilter() {
	if t.used == 0 {
		t.filter.Store(nil)
		return
	}
	room := minFilter
	for room < t.used {
		room *= 2
	}
	f := newFilter(room)
	t.each(func(s *slot) bool {
		f.add(s.id().hash)
		return true
	})
	t.filter.Store(f)
}

// filter is a Bloom filter of 64-bit words. All bits of one ID are in one word,
// so a look-up is one load. It has at least 16 bits an entry. An ID that it
// does not have is in no table.
type filter struct {
	words []atomic.Uint64
	room  int // the number of entries for which it is large enough
}

// newFilter returns an empty filter for n entries.
func newFilter(n int) *filter {
	return &filter{words: make([]atomic.Uint64, n/4+1), room: n}
}

// mask returns the bits of a hash, and the index of their word.
func (f *filter) mask(hash uint32) (index, mask uint64) {
	// The index follows the upper bits of hash, and the bits its mixture.
	index = uint64(hash) * uint64(len(f.words)) >> 32
	mixed := uint64(hash) * 0x9e3779b97f4a7c15
	return index, 1<<(mixed>>58) | 1<<(mixed>>52&63) | 1<<(mixed>>46&63)
}

// has reports whether the table may have an ID with this hash. It returns false
// for a nil filter.
func (f *filter) has(hash uint32) bool {
	if f == nil {
		return false
	}
	index, mask := f.mask(hash)
	return f.words[index].Load()&mask == mask
}

// add is called by one goroutine at a time.
func (f *filter) add(hash uint32) {
	index, mask := f.mask(hash)
	f.words[index].Or(mask)
}
