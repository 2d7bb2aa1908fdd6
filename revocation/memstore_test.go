package revocation_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parajwt/parajwt/revocation"
	"github.com/parajwt/parajwt/revocation/storetest"
)

// memStore is a Store in memory whose faults a test controls.
type memStore struct {
	mu      sync.Mutex
	life    int // counts the calls of wipe; a cursor of an earlier life is a gap
	log     []revocation.Entry
	changed chan struct{}
	ahead   time.Duration // of its clock
	noClock bool

	readErr, appendErr error
	hang               chan struct{} // if not nil, calls wait for it and ignore their context
	reads, appends     int
}

func newStore() *memStore { return &memStore{changed: make(chan struct{})} }

var errDown = errors.New("the store is down")

// set changes the store and wakes readers.
func (s *memStore) set(f func(*memStore)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *memStore) down(err error) {
	s.set(func(s *memStore) { s.readErr, s.appendErr = err, err })
}

// wipe replaces the log with an empty one.
func (s *memStore) wipe() { s.set(func(s *memStore) { s.life++; s.log = nil }) }

func (s *memStore) entries() []revocation.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]revocation.Entry(nil), s.log...)
}

func (s *memStore) wait(ctx context.Context) {
	s.mu.Lock()
	hang := s.hang
	s.mu.Unlock()
	if hang != nil {
		<-hang
	}
}

func (s *memStore) Append(ctx context.Context, entries []revocation.Entry) error {
	s.wait(ctx)
	for _, e := range entries {
		if _, err := e.MarshalText(); err != nil {
			return err
		}
	}
	var err error
	s.set(func(s *memStore) {
		s.appends++
		if err = s.appendErr; err == nil {
			s.log = append(s.log, entries...)
		}
	})
	return err
}

func (s *memStore) Read(ctx context.Context, after revocation.Cursor, wait time.Duration) (
	revocation.Batch, error) {
	s.wait(ctx)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		s.mu.Lock()
		s.reads++
		b, err, changed := s.read(after), s.readErr, s.changed
		s.mu.Unlock()
		if err != nil {
			return revocation.Batch{}, err
		}
		if len(b.Entries) > 0 || b.Gap || wait <= 0 {
			return b, nil
		}
		select {
		case <-changed:
		case <-timer.C:
			wait = 0
		case <-ctx.Done():
			return revocation.Batch{}, ctx.Err()
		}
	}
}

// read returns up to 1,000 entries. The caller holds mu.
func (s *memStore) read(after revocation.Cursor) revocation.Batch {
	b := revocation.Batch{Time: time.Now().Add(s.ahead)}
	if s.noClock {
		b.Time = time.Time{}
	}
	from := 0
	if after != "" {
		life, n, _ := strings.Cut(string(after), "-")
		from, _ = strconv.Atoi(n)
		if life != strconv.Itoa(s.life) || from > len(s.log) || from == 0 {
			b.Gap = true
			return b
		}
	}
	to := min(from+1000, len(s.log))
	b.Entries = append(b.Entries, s.log[from:to]...)
	b.End = to == len(s.log)
	if to > 0 {
		b.Next = revocation.Cursor(fmt.Sprint(s.life, "-", to))
	}
	return b
}

func TestMemStore(t *testing.T) {
	lives := 0
	storetest.Run(t, func(*testing.T) revocation.Store {
		lives++
		s := newStore()
		s.life = lives
		return s
	})
}
