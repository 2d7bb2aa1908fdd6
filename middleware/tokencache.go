package middleware

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/jose"
	"github.com/parajwt/parajwt/jwks"
)

// tokenCache remembers tokens whose signature was good, so that the next request with the same token
// costs a look-up. It is a set-associative table: a token's hash picks a set, and within the set the
// entry that was hit least makes room, the longest there first. On Zipf traffic that keeps more hits than an LRU,
// and within a point as many as W-TinyLFU (benchmarks/RESULTS.md), without a lock for readers and without a goroutine.
//
// A reader takes no lock: it compares tags, then the whole token. Whatever a writer does meanwhile,
// an entry that is found is whole, and of this token.
type tokenCache struct {
	seed maphash.Seed // secret, so that nobody can choose which set a token falls into
	sets []tokenSet
}

const (
	ways = 16 // the tags of a set fill a cache line
	// maxEntryBytes is the most that one entry may hold on to. Larger ones are not kept, so that
	// CacheSize bounds bytes as well.
	maxEntryBytes = 8 << 10
	maxHits       = 7
	// hashedTail is how much of a token is hashed: the end of its signature, which is as good as
	// random in every token that gets in here. Others may share it, and then compare unequal.
	hashedTail = 40
)

type tokenSet struct {
	tags    [ways]atomic.Uint32 // of the hash, so that most slots need not be looked into
	entries [ways]atomic.Pointer[verified]
	write   sync.Mutex
	hand    int // behind the entry that came last; guarded by write
}

// verified is a token whose signature was good, with all that must still hold the next time.
type verified struct {
	token  string
	claims *claims.Claims
	key    jwks.Key // it must still be in the set
	hits   atomic.Uint32
}

func newTokenCache(size int) *tokenCache {
	if size < 0 {
		return nil
	}
	return &tokenCache{seed: maphash.MakeSeed(), sets: make([]tokenSet, max(1, size/ways))}
}

func (c *tokenCache) place(token string) (*tokenSet, uint32) {
	h := maphash.String(c.seed, token[max(0, len(token)-hashedTail):])
	return &c.sets[h%uint64(len(c.sets))], uint32(h>>32) | 1 // 0 is an empty slot
}

// get returns what is remembered of a token. Time and keys have gone on since: the caller checks.
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
				e.hits.Store(n + 1) // a lost count does no harm
			}
			return e
		}
	}
	return nil
}

// put remembers a token, unless it is too large to. The user is not shared with anybody yet.
func (c *tokenCache) put(token string, user *claims.Claims, key jwks.Key, now time.Time) {
	if c == nil || entryBytes(token, user) > maxEntryBytes {
		return
	}
	// A clone, because the token may be a small part of a large header, which must not be kept.
	e := &verified{token: strings.Clone(token), claims: user, key: key}
	user.TokenID = jose.TokenID(e.token)
	set, tag := c.place(token)
	set.write.Lock()
	defer set.write.Unlock()
	victim, fewest := 0, uint32(1<<32-1)
	for n := range ways {
		i := (set.hand + n) % ways
		old := set.entries[i].Load()
		if old == nil || old.token == token || !now.Before(old.claims.ExpiresAt) {
			victim, fewest = i, 0
			break
		}
		if hits := old.hits.Load(); hits < fewest {
			victim, fewest = i, hits
		}
	}
	if fewest > 0 {
		// All have been hit since: yesterday's favourites must not stay for ever.
		for i := range set.entries {
			if old := set.entries[i].Load(); old != nil {
				old.hits.Store(old.hits.Load() / 2)
			}
		}
	}
	set.hand = (victim + 1) % ways
	set.entries[victim].Store(e)
	set.tags[victim].Store(tag)
}

// entryBytes is an upper bound of the memory that an entry holds on to.
func entryBytes(token string, c *claims.Claims) int {
	return len(token) + // the clone
		2*len(token)*3/4 + // the payload, and as much again for strings that had escapes
		cap(c.Audience)*int(unsafe.Sizeof("")) +
		cap(c.Wallets)*int(unsafe.Sizeof(claims.Wallet{})) +
		cap(c.ConnectedWallets)*int(unsafe.Sizeof(claims.ConnectedWallet{})) +
		int(unsafe.Sizeof(claims.Claims{})) + int(unsafe.Sizeof(verified{}))
}
