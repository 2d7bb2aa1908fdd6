package middleware

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/jwks"
)

// until returns the validity of a token that expires at t.
func until(t time.Time) period { return period{until: t.UnixNano()} }

// fill puts n tokens of one user into a cache, without verifying them.
func fill(c *tokenCache, n int, now time.Time) {
	for i := range n {
		c.put(fmt.Sprintf("%s.%d.%064d", strings.Repeat("h", 100), i, i), &claims.Claims{},
			jwks.Key{}, until(now.Add(time.Hour)), now)
	}
}

func kept(c *tokenCache) (entries, bytes int) {
	for i := range c.sets {
		for j := range c.sets[i].entries {
			if e := c.sets[i].entries[j].Load(); e != nil {
				entries++
				bytes += entryBytes(e.token, e.user)
			}
		}
	}
	return entries, bytes
}

func TestCacheSizeBoundsEntriesAndBytes(t *testing.T) {
	c := newTokenCache(1000)
	fill(c, 1_000_000, time.Now())
	if entries, bytes := kept(c); entries > 1000 || bytes > 1000*maxEntryBytes {
		t.Errorf("%d entries of %d bytes for a CacheSize of 1000", entries, bytes)
	}
}

func TestCachedTokenDoesNotRetainTheHeader(t *testing.T) {
	c := newTokenCache(8)
	header := "Bearer " + strings.Repeat("x", 100) + ".y.zzzz"
	token := header[len("Bearer "):]
	c.put(token, &claims.Claims{}, jwks.Key{}, until(time.Now().Add(time.Hour)), time.Now())
	if e := c.get(token); e == nil || unsafe.StringData(e.token) == unsafe.StringData(token) {
		t.Error("the cache retains the string of the header")
	}
}

func TestExpiredEntriesAreReplacedFirst(t *testing.T) {
	now := time.Now()
	c := newTokenCache(ways)
	live := func(i int) string { return fmt.Sprintf("h.p.%064d", i) }
	for i := range ways {
		exp := now.Add(time.Hour)
		if i == 3 {
			exp = now.Add(-time.Second)
		}
		c.put(live(i), &claims.Claims{}, jwks.Key{}, until(exp), now.Add(-time.Minute))
		for range maxHits {
			c.get(live(i))
		}
	}
	c.put(live(100), &claims.Claims{}, jwks.Key{}, until(now.Add(time.Hour)), now)
	for i := range ways {
		if got := c.get(live(i)) != nil; got != (i != 3) {
			t.Errorf("entry %d is cached: %v", i, got)
		}
	}
}

// TestOldestOfEquallyUsedEntriesIsReplaced checks the order of replacement.
func TestOldestOfEquallyUsedEntriesIsReplaced(t *testing.T) {
	now := time.Now()
	for _, hits := range []int{0, 1} {
		c := newTokenCache(ways)
		token := func(i int) string { return fmt.Sprintf("h.p.%064d", i) }
		place := func(i int) int {
			set, _ := c.place(token(i))
			for j := range set.entries {
				if e := set.entries[j].Load(); e != nil && e.token == token(i) {
					return j
				}
			}
			return -1
		}
		for i := range 3 * ways {
			c.put(token(i), &claims.Claims{}, jwks.Key{}, until(now.Add(time.Hour)), now)
			for range hits {
				c.get(token(i))
			}
			oldest := max(0, i-ways+1)
			if place(oldest) < 0 || oldest > 0 && place(oldest-1) >= 0 {
				t.Fatalf("hits %d: after token %d, token %d is not the oldest", hits, i, oldest)
			}
		}
	}
}

func TestUsedTokenStaysInTheCache(t *testing.T) {
	now := time.Now()
	c := newTokenCache(ways)
	favourite := fmt.Sprintf("h.p.%064d", 0)
	c.put(favourite, &claims.Claims{}, jwks.Key{}, until(now.Add(time.Hour)), now)
	for i := range 1000 {
		if c.get(favourite) == nil {
			t.Fatalf("replaced after %d other tokens", i)
		}
		c.put(fmt.Sprintf("h.p.%064d", i+1), &claims.Claims{}, jwks.Key{},
			until(now.Add(time.Hour)), now)
	}
}

// TestCacheConcurrently reads and writes concurrently under the race detector.
// It checks that readers find complete entries.
func TestCacheConcurrently(t *testing.T) {
	c := newTokenCache(2 * ways)
	now := time.Now()
	var work sync.WaitGroup
	for g := range 4 {
		work.Go(func() {
			for i := range 20_000 {
				n := (i*7 + g) % 64
				token := fmt.Sprintf("h.p.%064d", n)
				if e := c.get(token); e != nil {
					if e.token != token || e.user.UserID != fmt.Sprint(n) {
						t.Errorf("got the entry of %s, want %d", e.user.UserID, n)
						return
					}
					continue
				}
				c.put(token, &claims.Claims{UserID: fmt.Sprint(n)}, jwks.Key{},
					until(now.Add(time.Hour)), now)
			}
		})
	}
	work.Wait()
}

// TestUnusedTokensLeaveTheCache checks that tokens which are no longer used are
// replaced by tokens in use, even if they were used often.
func TestUnusedTokensLeaveTheCache(t *testing.T) {
	now := time.Now()
	for _, favourites := range []int{1, ways} {
		c := newTokenCache(ways)
		put := func(name string, hits int) string {
			token := fmt.Sprintf("h.p.%064s", name)
			c.put(token, &claims.Claims{}, jwks.Key{}, until(now.Add(time.Hour)), now)
			for range hits {
				c.get(token)
			}
			return token
		}
		var old []string
		for i := range favourites {
			old = append(old, put(fmt.Sprint("old", i), 100_000))
		}
		for i := range 100 {
			put(fmt.Sprint("new", i), 2)
		}
		for _, token := range old {
			if c.get(token) != nil {
				t.Errorf("%d favourites: %s is still cached", favourites, token[len(token)-4:])
			}
		}
	}
}

// TestTokenHasOneEntry checks that a token which is verified again, for example
// because its key was replaced, replaces its entry. Otherwise get would return
// the old one, and the token would be verified for each request.
func TestTokenHasOneEntry(t *testing.T) {
	now := time.Now()
	for _, others := range []int{0, 3, ways - 1} {
		c := newTokenCache(ways)
		const token = "h.p.s"
		for i := range ways {
			c.put(token, &claims.Claims{KeyID: fmt.Sprint(i)}, jwks.Key{},
				until(now.Add(time.Hour)), now)
			if i == 0 {
				fill(c, others, now)
			}
			if got := c.get(token).user.KeyID; got != fmt.Sprint(i) {
				t.Fatalf("with %d other tokens, got entry %s, want %d", others, got, i)
			}
		}
		if entries, _ := kept(c); entries != 1+others {
			t.Errorf("got %d entries, want %d", entries, 1+others)
		}
	}
}
