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

// remembered is the least that a cache of verified tokens holds.
type remembered struct {
	user    string
	expires time.Time
}

// Caches are general-purpose caches in the place of ours: one look-up of a live token and a check of its exp
// against the clock. What else our validator does on a hit, they do not.
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

// Traffic says how many distinct tokens there are, how many requests come, and how many tokens are
// remembered. Popularity falls off as Zipf's law has it: the nth token is asked for about 1/n as often as the
// first.
type Traffic struct {
	Tokens, Requests, Capacity int
	Skew                       float64
}

// HitRatios is what share of the requests met a remembered token, in the second half of the traffic.
type HitRatios struct {
	Traffic
	Ours, Otter, LRU float64
	// Best is the share of the requests that are for the most popular tokens, as many as fit: what a cache
	// that knew the future popularity of every token, and kept those for good, would have.
	Best float64
}

// Zipf sends the same traffic through our validator, otter and an LRU list.
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

	// Tokens are short and their text is made on the way: kept are the signatures, of tokens that come at
	// all. Which users we returned tells whether it was a hit: a remembered token returns the same one.
	signatures := make([]string, t.Tokens)
	users := make([]weak.Pointer[claims.Claims], t.Tokens)
	private := s.fixture.Key(fixture.ES256).Private
	next := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), t.Skew, 1, uint64(t.Tokens-1))
	var counted, ours, inOtter, inLRU int
	for n := range t.Requests {
		id := uint32(next.Uint64())
		input := s.fixture.Input(fixture.Spec{Alg: fixture.ES256, UserID: fixture.UserID(int(id)), Short: true})
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
			continue // filling up
		}
		counted++
		ours += one(hit)
		inOtter += one(hitOtter)
		inLRU += one(hitLRU)
	}
	share := func(hits int) float64 { return float64(hits) / float64(counted) }
	ratios.Ours, ratios.Otter, ratios.LRU, ratios.Best = share(ours), share(inOtter), share(inLRU), t.best()
	return ratios, nil
}

// best sums the popularity of the Capacity most popular tokens; the nth has (n+1)^-Skew of it.
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
