package middleware

import (
	"fmt"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/jwks"
)

// TestYesterdaysFavouritesGo checks that tokens which are no longer used leave
// the cache, even if they were used often. They make room for tokens that are
// used now.
func TestYesterdaysFavouritesGo(t *testing.T) {
	now := time.Now()
	c := newTokenCache(ways)
	put := func(name string, hits int) string {
		token := fmt.Sprintf("h.p.%064s", name)
		c.put(token, &claims.Claims{}, jwks.Key{}, until(now.Add(time.Hour)), now)
		for range hits {
			c.get(token)
		}
		return token
	}
	var favourites []string
	for i := range ways {
		favourites = append(favourites, put(fmt.Sprint("old", i), 100))
	}
	for i := range 100 {
		put(fmt.Sprint("new", i), 2)
	}
	for _, token := range favourites {
		if c.get(token) != nil {
			t.Errorf("%s is still there", token[len(token)-4:])
		}
	}
}
