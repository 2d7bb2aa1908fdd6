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
	// maxSourceBytes has room for the origin that a snapshot adds to the set.
	maxSourceBytes = maxSetBytes + 4<<10
	snapshotField  = "parajwt"
)

// Source is a key set that does not come from the network: a snapshot or a JWK
// Set (RFC 7517 §5), with the environment that it belongs to. Anyone who can
// write it can make tokens that are accepted. Protect it like your program, or
// use [Seal].
//
// The zero Source means no source. Functions that return a Source return no
// error. [New] and [Source.Inspect] report the errors of a Source.
type Source struct {
	data []byte
	err  error
	env  *Environment // of a plain key set; nil for a snapshot
}

// FromBytes returns the key set of a snapshot that [Cache.Snapshot] returned.
// It copies data. For a plain key set, use [FromKeySet].
func FromBytes(data []byte) Source { return Source{data: append([]byte{}, data...)} }

// FromFile returns the key set of a snapshot in a file of fsys, such as
// "para-keys.json" in os.DirFS("/var/lib/app"). It reads the file immediately.
// The error of [New] matches fs.ErrNotExist if the file does not exist. For a
// plain key set, read the file and use [FromKeySet].
func FromFile(fsys fs.FS, name string) Source {
	f, err := fsys.Open(name)
	if err != nil {
		return Source{err: err}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSourceBytes+1))
	if err != nil {
		return Source{err: err}
	}
	return Source{data: data}
}

// FromKeySet returns the key set of a plain JWK Set of env, such as an embedded
// file. The caller names the environment because a plain set does not.
// Otherwise, a set of BETA could start a PROD validator. The age of the keys
// counts from New. FromKeySet copies data.
func FromKeySet(env Environment, data []byte) Source {
	env, err := env.normalize()
	return Source{data: append([]byte{}, data...), err: err, env: &env}
}

func (s Source) isZero() bool { return s.data == nil && s.err == nil }

// origin is the part of a snapshot that names its environment, its URL and the
// time of the fetch.
type origin struct {
	Environment string    `json:"environment"`
	URL         string    `json:"url"`
	FetchedAt   time.Time `json:"fetchedAt"`
}

// read parses the source. from.FetchedAt is zero for a plain key set.
func (s Source) read(
	algorithms []string,
) (keys map[string]*jose.Key, skipped []jose.Skipped, from origin, err error) {
	switch {
	case s.err != nil:
		return nil, nil, from, s.err
	case len(s.data) > maxSourceBytes:
		return nil, nil, from, fmt.Errorf("key set is larger than %d KiB", maxSetBytes>>10)
	case bytes.HasPrefix(s.data, []byte(sealPrefix)):
		return nil, nil, from, errors.New("snapshot is sealed: use Sealed")
	}
	keys, skipped, err = jose.ParseSet(string(s.data), algorithms)
	if err != nil {
		return nil, nil, from, err
	}
	from, isSnapshot, err := readOrigin(s.data)
	switch {
	case err != nil:
		return nil, nil, from, err
	case isSnapshot && s.env != nil:
		return nil, nil, from, errors.New("key set is a snapshot: use FromBytes or FromFile")
	case !isSnapshot && s.env == nil:
		return nil, nil, from,
			errors.New("key set is not a snapshot and names no environment: use FromKeySet")
	case s.env != nil:
		from = origin{Environment: s.env.Name, URL: s.env.URL}
	}
	return keys, skipped, from, nil
}

// readOrigin returns the origin that a key set names, if it is a snapshot.
func readOrigin(data []byte) (from origin, isSnapshot bool, err error) {
	d := strictjson.New(string(data))
	for name := range d.Object {
		text := d.Raw()
		if name != snapshotField || d.Err() != nil {
			continue
		}
		isSnapshot = true
		if json.Unmarshal([]byte(text), &from) != nil || from.Environment == "" || from.URL == "" {
			err = errors.New("snapshot does not name its environment, its URL or a time")
		}
	}
	if d.End() != nil {
		err = errors.New("not a snapshot")
	}
	return from, isSnapshot, err
}

// Inspect returns the name of the environment of a source and the sorted IDs of
// its keys. It includes the keys of every supported algorithm. The error is
// that of a source which [New] cannot read.
func (s Source) Inspect() (environment string, keyIDs []string, err error) {
	keys, _, from, err := s.read(jose.Algorithms())
	if err != nil {
		return "", nil, fmt.Errorf("jwks: %w", err)
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

// snapshot encodes keys for read, each as Para wrote it. The result is a JWK
// Set with an additional member, which other readers ignore (RFC 7517 §5).
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
