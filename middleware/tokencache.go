package middleware

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/jwks"
)

// tokenCache maps tokens with a verified signature to their users, so that a
// repeated token costs a look-up. It is a set-associative table: a token's hash
// selects a set. Within the set, a new entry replaces the one with the fewest
// hits, the oldest first. On Zipf traffic its hit rate is above that of an LRU,
// and within a percentage point of W-TinyLFU's (benchmarks/RESULTS.md). Readers
// take no lock, and there is no goroutine.
//
// Readers never see a partial entry, and never another token's: entries are
// immutable and published with an atomic store, and the whole token is
// compared.
type tokenCache struct {
	seed maphash.Seed // secret, so that clients cannot choose the set of a token
	sets []tokenSet
}

const (
	ways = 16 // the tags of a set fill a cache line
	// maxEntryBytes is the most that one entry may retain. Larger ones are not
	// cached, so that CacheSize bounds bytes as well.
	maxEntryBytes = 8 << 10
	maxHits       = 7
	// hashedTail is how much of a token is hashed: the end of its signature,
	// which is unpredictable in every cached token.
	hashedTail = 40
)

type tokenSet struct {
	tags    [ways]atomic.Uint32 // 32 bits of each hash, so that get loads few entries
	entries [ways]atomic.Pointer[verified]
	write   sync.Mutex
	hand    int // index after the newest entry; guarded by write
}

// verified is a token with a verified signature, and the conditions for its
// next use. user decides, and no handler can change it: handlers get copies of
// it, and callers of Validate get shared.
type verified struct {
	token        string
	key          jwks.Key // must still be in the set
	valid        period
	hits         atomic.Uint32
	user, shared *claims.Claims
}

func newTokenCache(size int) *tokenCache {
	if size < 0 {
		return nil
	}
	return &tokenCache{seed: maphash.MakeSeed(), sets: make([]tokenSet, max(1, size/ways))}
}

func (c *tokenCache) place(token string) (*tokenSet, uint32) {
	h := maphash.String(c.seed, token[max(0, len(token)-hashedTail):])
	return &c.sets[h%uint64(len(c.sets))], uint32(h>>32) | 1 // 0 is an empty place
}

// get returns the entry of a token, or nil. The caller checks time, key and
// revocation.
func (c *tokenCache) get(token string) *verified {
	if c == nil {
		return nil
	}
	set, tag := c.place(token)
	for i := range set.tags {
		if set.tags[i].Load() != tag {
			continue
		}
		if e := set.entries[i].Load(); e != nil && e.token == token {
			if n := e.hits.Load(); n < maxHits {
				e.hits.Store(n + 1) // a concurrent hit may be lost, which does no harm
			}
			return e
		}
	}
	return nil
}

// put adds a token to the cache and returns its entry, or nil if the entry
// would exceed maxEntryBytes. The entry keeps user, which the caller must not
// pass on.
func (c *tokenCache) put(
	token string, user *claims.Claims, key jwks.Key, valid period, now time.Time,
) *verified {
	if c == nil || entryBytes(token, user) > maxEntryBytes {
		return nil
	}
	// The token is cloned because it may be a substring of the header field,
	// which would otherwise stay in memory.
	e := &verified{token: strings.Clone(token), key: key, valid: valid, user: user,
		shared: new(claims.Claims)}
	user.CopyTo(e.shared)
	set, tag := c.place(token)
	set.write.Lock()
	defer set.write.Unlock()
	victim, fewest := 0, uint32(1<<32-1)
	for n := range ways {
		i := (set.hand + n) % ways
		old := set.entries[i].Load()
		if old != nil && old.token == token {
			// The token was verified twice at once, or its key was replaced. A
			// second entry would hide the new one from get.
			victim, fewest = i, 0
			break
		}
		hits := uint32(0)
		if old != nil && old.valid.until > now.UnixNano() {
			hits = old.hits.Load() + 1 // an empty place and an expired entry come first
		}
		if hits < fewest {
			victim, fewest = i, hits
		}
	}
	if fewest > 1 {
		// Every entry was hit. Halve the counts, so that entries which are no
		// longer used leave the set.
		for i := range set.entries {
			if old := set.entries[i].Load(); old != nil {
				old.hits.Store(old.hits.Load() / 2)
			}
		}
	}
	set.hand = (victim + 1) % ways
	set.entries[victim].Store(e)
	set.tags[victim].Store(tag)
	return e
}

// entryBytes returns an upper bound of the memory that an entry retains. The
// slices of user grew by append, so their arrays have up to twice their
// capacity. An eighth is for the size classes of the allocator.
// TestTokenCacheMemory measures the memory.
func entryBytes(token string, c *claims.Claims) int {
	slices := cap(c.Audience)*int(unsafe.Sizeof("")) +
		cap(c.Wallets)*int(unsafe.Sizeof(claims.Wallet{})) +
		cap(c.ConnectedWallets)*int(unsafe.Sizeof(claims.ConnectedWallet{}))
	n := len(token) + // the clone
		2*len(token)*3/4 + // the payload, and as much again for strings that had escapes
		3*slices + 2*int(unsafe.Sizeof(claims.Claims{})) + // of user and of shared
		int(unsafe.Sizeof(verified{}))
	return n + n/8
}
