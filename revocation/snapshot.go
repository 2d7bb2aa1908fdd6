package revocation

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const snapshotHeader = "parajwt revocations 1 "

// errSnapshot does not quote the snapshot.
var errSnapshot = errors.New("revocation: Initial is damaged, or not a snapshot of a list: " +
	"use what Snapshot returned, unchanged")

// Snapshot returns the list for Config.Initial, so that a server can start
// while the store is unreachable. It contains hashes of IDs, and no user IDs or
// tokens. Protect it from changes: anyone who can change it can log users out,
// and can hide a revocation for MaxStaleness. Without a Store, the hidden
// revocation stays hidden. The error is [ErrNotReady].
func (l *List) Snapshot() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh := l.fresh.Load()
	if fresh == nil {
		return nil, ErrNotReady
	}
	now := l.cfg.Now()
	at := fresh.wall
	if fresh.always {
		at = now.UnixNano()
	}
	expired := l.expired(now)
	b := make([]byte, 0, 128+64*(l.entries()+1))
	b = append(b, snapshotHeader...)
	b = strconv.AppendInt(b, at/1e6, 10)
	b = append(b, '\n')
	for t := range l.tables {
		l.tables[t].each(func(s *slot) bool {
			if !expired(s.expires()) {
				b = append(unpack(uint8(t), s).append(b), '\n')
			}
			return true
		})
	}
	sum := sha256.Sum256(b)
	b = hex.AppendEncode(b, sum[:])
	return append(b, '\n'), nil
}

// restore reads a snapshot into a new list.
func (l *List) restore(data []byte) error {
	const sumLength = 2*sha256.Size + 1
	if len(data) < sumLength {
		return errSnapshot
	}
	body, text := data[:len(data)-sumLength], data[len(data)-sumLength:]
	sum := sha256.Sum256(body)
	if string(text) != hex.EncodeToString(sum[:])+"\n" {
		return errSnapshot
	}
	header, entries, ok := bytes.Cut(body, []byte("\n"))
	digits, isSnapshot := strings.CutPrefix(string(header), snapshotHeader)
	at, err := strconv.ParseInt(digits, 10, 64)
	if !ok || !isSnapshot || err != nil || at <= 0 || at >= maxAt {
		return errSnapshot
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.cfg.Now()
	expired := l.expired(now)
	for number := 2; len(entries) > 0; number++ {
		line, rest, ok := bytes.Cut(entries, []byte("\n"))
		var e Entry
		if !ok || e.UnmarshalText(line) != nil {
			return fmt.Errorf("%w (line %d)", errSnapshot, number)
		}
		entries = rest
		if p, _ := pack(e); !expired(p.expires) || p.kind == KindUnblock {
			l.merge(p)
		}
	}
	// A time in the future counts as now.
	if l.cfg.Store != nil {
		proof := time.UnixMilli(min(at, now.UnixMilli()))
		l.fresh.Store(l.provenAt(proof))
	}
	return nil
}
