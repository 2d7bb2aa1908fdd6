package jwks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/parajwt/parajwt/internal/jose"
	"github.com/parajwt/parajwt/internal/strictjson"
)

const (
	maxSetBytes = 256 << 10
	// maxSourceBytes leaves room for what a snapshot adds to the largest set.
	maxSourceBytes = maxSetBytes + 4<<10
	snapshotField  = "parajwt"
)

// Source is a key set that does not come over the network: a JWK Set (RFC 7517 §5) as Para serves
// it, or what [Cache.Snapshot] returned. Whoever can write it decides who is let in: keep it as you
// keep your program.
//
// The zero Source is none. A mistake in a Source is reported by [New].
type Source struct {
	data []byte
	err  error
}

// FromBytes is a key set in memory, such as one from go:embed. No bytes are no key set, and a mistake.
func FromBytes(data []byte) Source { return Source{data: append([]byte{}, data...)} }

// FromFile is a key set in a file, such as os.DirFS("/var/lib/app") and "para-keys.json". It is read at once,
// and no further than a key set may be long. errors.Is finds fs.ErrNotExist in the error of New.
func FromFile(fsys fs.FS, name string) Source {
	f, err := fsys.Open(name)
	if err != nil {
		return Source{err: fmt.Errorf("jwks: %w", err)}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSourceBytes+1))
	if err != nil {
		return Source{err: fmt.Errorf("jwks: %w", err)}
	}
	return Source{data: data}
}

func (s Source) isZero() bool { return s.data == nil && s.err == nil }

// origin is what a snapshot says of itself.
type origin struct {
	Environment string    `json:"environment"`
	URL         string    `json:"url"`
	FetchedAt   time.Time `json:"fetchedAt"`
}

// read parses the source. A plain key set has no origin.
func (s Source) read(algorithms []string) (keys map[string]*jose.Key, skipped []jose.Skipped, from origin, err error) {
	switch {
	case s.err != nil:
		return nil, nil, from, s.err
	case len(s.data) > maxSourceBytes:
		return nil, nil, from, fmt.Errorf("jwks: key set is larger than %d KiB", maxSetBytes>>10)
	}
	keys, skipped, err = jose.ParseSet(string(s.data), algorithms)
	if err != nil {
		return nil, nil, from, fmt.Errorf("jwks: %w", err)
	}
	d := strictjson.New(string(s.data))
	for name := range d.Object {
		if name == snapshotField {
			if err := json.Unmarshal([]byte(d.Raw()), &from); err != nil {
				return nil, nil, from, errors.New("jwks: snapshot's origin cannot be read")
			}
		} else {
			d.Raw()
		}
	}
	return keys, skipped, from, nil
}

// Inspect tells what a source holds: the environment it was saved from (empty for a plain key set)
// and the IDs of its usable keys, sorted.
func (s Source) Inspect() (environment string, keyIDs []string, err error) {
	keys, _, from, err := s.read(jose.Algorithms())
	if err != nil {
		return "", nil, err
	}
	return from.Environment, sortedIDs(keys), nil
}

func sortedIDs(keys map[string]*jose.Key) []string {
	ids := make([]string, 0, len(keys))
	for id := range keys {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// snapshot writes a key set that read takes back, each key as Para wrote it. It is a JWK Set with one
// more member, which other readers ignore (RFC 7517 §5).
func snapshot(keys map[string]*jose.Key, from origin) ([]byte, error) {
	head, err := json.Marshal(from)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "{%q: %s,\n\"keys\": [", snapshotField, head)
	for i, id := range sortedIDs(keys) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n" + keys[id].JSON)
	}
	b.WriteString("\n]}\n")
	return b.Bytes(), nil
}
