package suite

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
	"weak"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/maypok86/otter/v2"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
	"github.com/parajwt/parajwt/benchmarks/internal/peers"
	"github.com/parajwt/parajwt/claims"
)

// remembered is the minimal entry of a cache of verified tokens.
type remembered struct{ expires time.Time }

// Caches measures general-purpose caches: one look-up of a live token, and a
// check of its exp against the clock. The validator does more on a hit.
func (s *Suite) Caches() ([]Row, error) {
	tokens := s.Tokens(fixture.RS256, "")
	entry := &remembered{expires: time.Now().Add(24 * time.Hour)}

	o, err := otter.New(&otter.Options[string, *remembered]{MaximumSize: 8192})
	if err != nil {
		return nil, err
	}
	l, err := lru.New[string, *remembered](8192)
	if err != nil {
		return nil, err
	}
	for _, token := range tokens {
		o.Set(token, entry)
		l.Add(token, entry)
	}
	hit := func(get func(string) (*remembered, bool)) Op {
		return func(i int) error {
			if e, ok := get(tokens[i]); !ok || !time.Now().Before(e.expires) {
				return fmt.Errorf("token %d is not in the cache", i)
			}
			return nil
		}
	}
	return []Row{
		{"otter v2 and the clock", hit(o.GetIfPresent)},
		{"golang-lru v2 and the clock", hit(l.Get)},
		{"the clock alone", func(int) error {
			if !time.Now().Before(entry.expires) {
				return fmt.Errorf("expired")
			}
			return nil
		}},
	}, nil
}

// Traffic describes the number of distinct tokens, the number of requests, and
// the capacity of the cache in tokens. The popularity of tokens follows Zipf's
// law: the nth token is requested about 1/n as often as the first.
type Traffic struct {
	Tokens, Requests, Capacity int
	Skew                       float64
}

// HitRatios is the share of requests whose token was cached, in the second half
// of the traffic.
type HitRatios struct {
	Traffic
	Ours, Otter, LRU float64
	// Best is the share of requests for the Capacity most popular tokens. A
	// cache that always kept these tokens would have this ratio.
	Best float64
}

// Zipf sends the same traffic through parajwt's validator, otter and an LRU
// list.
func (s *Suite) Zipf(t Traffic) (HitRatios, error) {
	ratios := HitRatios{Traffic: t}
	v, err := peers.Validator(s.ctx, s.setup(fixture.ES256), t.Capacity)
	if err != nil {
		return ratios, err
	}
	o, err := otter.New(&otter.Options[uint32, struct{}]{MaximumSize: t.Capacity})
	if err != nil {
		return ratios, err
	}
	l, err := lru.New[uint32, struct{}](t.Capacity)
	if err != nil {
		return ratios, err
	}

	// The text of a token is made when it is needed. Only the signatures of
	// requested tokens are kept. A hit is recognised by the returned pointer: a
	// cached token returns the same claims again.
	signatures := make([]string, t.Tokens)
	users := make([]weak.Pointer[claims.Claims], t.Tokens)
	private := s.fixture.Key(fixture.ES256).Private
	next := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), t.Skew, 1, uint64(t.Tokens-1))
	var counted, ours, inOtter, inLRU int
	for n := range t.Requests {
		id := uint32(next.Uint64())
		input := s.fixture.Input(fixture.Spec{Alg: fixture.ES256, UserID: fixture.UserID(int(id)),
			Short: true})
		if signatures[id] == "" {
			signatures[id] = fixture.EncodedSignature(private, input)
		}
		user, err := v.Validate(s.ctx, input+"."+signatures[id])
		if err != nil {
			return ratios, err
		}
		pointer := weak.Make(user)
		hit := users[id] == pointer
		users[id] = pointer

		_, hitOtter := o.GetIfPresent(id)
		if !hitOtter {
			o.Set(id, struct{}{})
		}
		_, hitLRU := l.Get(id)
		if !hitLRU {
			l.Add(id, struct{}{})
		}
		if n < t.Requests/2 {
			continue // the caches are filling
		}
		counted++
		ours += one(hit)
		inOtter += one(hitOtter)
		inLRU += one(hitLRU)
	}
	share := func(hits int) float64 { return float64(hits) / float64(counted) }
	ratios.Ours, ratios.Otter, ratios.LRU, ratios.Best = share(ours), share(inOtter), share(inLRU),
		t.best()
	return ratios, nil
}

// best returns the popularity of the Capacity most popular tokens. The nth
// token has a weight of (n+1)^-Skew.
func (t Traffic) best() float64 {
	var top, all float64
	for n := range t.Tokens {
		p := math.Pow(float64(n+1), -t.Skew)
		if all += p; n < t.Capacity {
			top += p
		}
	}
	return top / all
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
