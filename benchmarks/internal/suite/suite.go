// Package suite holds all benchmarks that run in one process. `go test -bench
// .` runs them one after another. The report interleaves them.
package suite

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
	"github.com/parajwt/parajwt/benchmarks/internal/peers"
	"github.com/parajwt/parajwt/middleware"
)

// Live is the number of tokens that are used in turn, so that no library gets
// the same token twice in a row. It is a power of two.
const Live = 1024

// Op does the work once, for the ith token. It is safe for concurrent use by
// multiple goroutines.
type Op func(i int) error

// Row is one measured operation.
type Row struct {
	Name string
	Op   Op
}

// Check runs the row for some of the tokens. It warms up caches, and fails if
// the row does not do its work.
func (r Row) Check() error {
	for i := 0; i < Live; i += 13 {
		if err := r.Op(i); err != nil {
			return fmt.Errorf("%s: token %d: %w", r.Name, i, err)
		}
	}
	return nil
}

// Serial measures one caller.
func (r Row) Serial(b *testing.B) {
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := r.Op(i & (Live - 1)); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// Parallel measures one caller per core. The callers start at different tokens.
func (r Row) Parallel(b *testing.B) {
	b.ReportAllocs()
	var callers atomic.Int32
	b.RunParallel(func(pb *testing.PB) {
		i := int(callers.Add(1)) * 331
		for pb.Next() {
			if err := r.Op(i & (Live - 1)); err != nil {
				b.Error(err)
				return
			}
			i++
		}
	})
}

// Suite holds the keys, tokens and servers that the rows share.
type Suite struct {
	ctx     context.Context
	fixture *fixture.Fixture
	base    string
	tokens  map[string][]string // by algorithm and issuer
	bearer  [][]string          // Authorization headers
	repeat  *middleware.Validator
}

// New makes keys and tokens. It serves the key set until ctx ends.
func New(ctx context.Context) (*Suite, error) {
	f, err := fixture.New()
	if err != nil {
		return nil, err
	}
	base, stop, err := f.Serve()
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { stop() })
	return &Suite{ctx: ctx, fixture: f, base: base, tokens: make(map[string][]string)}, nil
}

// Fixture returns the keys, to make more tokens.
func (s *Suite) Fixture() *fixture.Fixture { return s.fixture }

// BaseURL returns the base URL of the server of the key set.
func (s *Suite) BaseURL() string { return s.base }

// Tokens returns the live tokens.
func (s *Suite) Tokens(alg, issuer string) []string {
	key := alg + issuer
	if s.tokens[key] == nil {
		s.tokens[key] = s.fixture.Tokens(alg, issuer, Live)
	}
	return s.tokens[key]
}

func (s *Suite) setup(alg string) peers.Setup { return peers.Setup{BaseURL: s.base, Alg: alg} }

// Raw is the lower limit for every library: SHA-256 over the signing input and
// one signature check. Both are from Go's standard library, with the key, input
// and signature already decoded.
func (s *Suite) Raw(alg string) Row {
	type signed struct {
		input, signature []byte
		r, s             *big.Int
	}
	var all []signed
	for _, token := range s.Tokens(alg, "") {
		cut := strings.LastIndexByte(token, '.')
		signature, err := base64.RawURLEncoding.DecodeString(token[cut+1:])
		if err != nil {
			panic(err)
		}
		half := len(signature) / 2
		r := new(big.Int).SetBytes(signature[:half])
		s := new(big.Int).SetBytes(signature[half:])
		all = append(all, signed{[]byte(token[:cut]), signature, r, s})
	}
	row := Row{Name: "raw crypto"}
	switch public := s.fixture.Key(alg).Private.Public().(type) {
	case *rsa.PublicKey:
		row.Op = func(i int) error {
			digest := sha256.Sum256(all[i].input)
			return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], all[i].signature)
		}
	case *ecdsa.PublicKey:
		row.Op = func(i int) error {
			digest := sha256.Sum256(all[i].input)
			if !ecdsa.Verify(public, digest[:], all[i].r, all[i].s) {
				return errors.New("wrong signature")
			}
			return nil
		}
	}
	return row
}

// FirstSight returns one row per library, parajwt first. No token is cached.
func (s *Suite) FirstSight(alg string) ([]Row, error) {
	var rows []Row
	for _, lib := range peers.All() {
		verify, err := lib.New(s.ctx, s.setup(alg))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", lib.Name, err)
		}
		tokens := s.Tokens(alg, lib.Issuer)
		rows = append(rows, Row{lib.Name, func(i int) error {
			_, err := verify(s.ctx, tokens[i])
			return err
		}})
	}
	return rows, nil
}

// Repeating returns parajwt's validator with the default cache. It has verified
// all live tokens.
func (s *Suite) Repeating() (*middleware.Validator, error) {
	if s.repeat == nil {
		v, err := peers.Validator(s.ctx, s.setup(fixture.RS256), 0)
		if err != nil {
			return nil, err
		}
		for _, token := range s.Tokens(fixture.RS256, "") {
			if _, err := v.Validate(s.ctx, token); err != nil {
				return nil, err
			}
		}
		s.repeat = v
	}
	return s.repeat, nil
}

// Repeat measures the validator with tokens that it has cached.
func (s *Suite) Repeat() (Row, error) {
	v, err := s.Repeating()
	if err != nil {
		return Row{}, err
	}
	tokens := s.Tokens(fixture.RS256, "")
	return Row{"repeat token", func(i int) error {
		_, err := v.Validate(s.ctx, tokens[i])
		return err
	}}, nil
}

// Refusals measures tokens that the validator refuses without cryptography.
func (s *Suite) Refusals() ([]Row, error) {
	v, err := peers.Validator(s.ctx, s.setup(fixture.RS256), 0)
	if err != nil {
		return nil, err
	}
	good := s.Tokens(fixture.RS256, "")
	spec := func(i int) fixture.Spec {
		return fixture.Spec{Alg: fixture.RS256, UserID: fixture.UserID(i)}
	}
	// The signature is arbitrary, because each token is refused before the
	// signature check.
	signature := good[0][strings.LastIndexByte(good[0], '.'):]
	kinds := []struct {
		name  string
		token func(i int) string
		want  middleware.Code
	}{
		{"unknown kid", func(i int) string {
			sp := spec(i)
			sp.KeyID = fmt.Sprintf("nobody-has-this-key-%04d", i)
			return s.fixture.Input(sp) + signature
		}, middleware.ErrUnknownKey},
		{"wrong alg", func(i int) string {
			sp := spec(i)
			sp.HeadAlg = "HS256"
			return s.fixture.Input(sp) + signature
		}, middleware.ErrAlgorithm},
		{"alg of another key", func(i int) string {
			sp := spec(i)
			sp.HeadAlg = fixture.ES256
			return s.fixture.Input(sp) + signature
		}, middleware.ErrAlgorithm},
		{"garbage, three parts", func(i int) string { return "AAAA" + good[i][4:] },
			middleware.ErrMalformed},
		{"garbage, no dots", func(i int) string { return strings.ReplaceAll(good[i], ".", "_") },
			middleware.ErrMalformed},
	}
	var rows []Row
	for _, kind := range kinds {
		tokens := make([]string, 64)
		for i := range tokens {
			tokens[i] = kind.token(i)
		}
		rows = append(rows, Row{kind.name, func(i int) error {
			_, err := v.Validate(s.ctx, tokens[i%len(tokens)])
			if err == nil || !errors.Is(err, kind.want) {
				return fmt.Errorf("refused with another error, or accepted: %w", err)
			}
			return nil
		}})
	}
	return rows, nil
}
