package revocation

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Kind is the effect of an [Entry].
type Kind uint8

// The kinds of entries. Any other value is malformed.
const (
	KindUser    Kind = 1 + iota // refuses tokens of one user issued at or before Entry.At
	KindToken                   // refuses one token
	KindAll                     // refuses tokens of every user issued before Entry.At
	KindBlock                   // refuses every token of one user, until a later KindUnblock
	KindUnblock                 // ends a KindBlock
)

// letters are the kinds in an entry's text form, by Kind.
const letters = "?utabn"

// String returns "user", "token", "all", "block" or "unblock".
func (k Kind) String() string {
	switch k {
	case KindUser:
		return "user"
	case KindToken:
		return "token"
	case KindAll:
		return "all"
	case KindBlock:
		return "block"
	case KindUnblock:
		return "unblock"
	}
	return "unknown kind " + strconv.Itoa(int(k))
}

// Entry is one revocation as a [Store] holds it. Only implementations of Store
// need this type.
type Entry struct {
	Kind Kind
	// Subject identifies the user or token. It is "" for KindAll. Otherwise it
	// is the unpadded base64url form (RFC 4648 §5) of 20 bytes: a 32-bit hash
	// for the list's filter, and the first 128 bits of the ID's SHA-256. The
	// store therefore contains no user IDs.
	Subject string
	// At is the time of the revocation. Stores keep it to the millisecond.
	At time.Time
	// Expires is when the entry stops having an effect, to the second. The zero
	// time means never. Only KindBlock may have the zero time.
	Expires time.Time
}

// maxText bounds the text form of an entry. The longest has about 60 bytes.
const maxText = 100

// errEntry does not quote the entry, because anyone may have written it.
var errEntry = errors.New("revocation: malformed entry, or one of an unknown kind or version")

// AppendText appends the text form of e to b: the version and kind, Subject, At
// in milliseconds and Expires in seconds since 1970, both in base 36. An
// example is "1u.q83vEjRWeJCrze8SNFZ4kKvN7xI.mjw3k5c0.tfkd9s". It returns an
// error if e is malformed.
func (e Entry) AppendText(b []byte) ([]byte, error) {
	p, ok := pack(e)
	if !ok {
		return b, errEntry
	}
	return p.append(b), nil
}

// MarshalText returns the text form of e that [Entry.AppendText] appends.
func (e Entry) MarshalText() ([]byte, error) { return e.AppendText(nil) }

// UnmarshalText parses the text form of an entry. It accepts only texts that
// [Entry.AppendText] returns. After an error, e is unchanged.
func (e *Entry) UnmarshalText(text []byte) error {
	if len(text) > maxText {
		return errEntry
	}
	rest, ok := strings.CutPrefix(string(text), "1")
	if !ok || len(rest) < 2 || rest[1] != '.' {
		return errEntry
	}
	kind := strings.IndexByte(letters, rest[0])
	part := strings.Split(rest[2:], ".")
	if kind < 1 || len(part) != 3 {
		return errEntry
	}
	at, err := strconv.ParseInt(part[1], 36, 64)
	if err != nil || at <= 0 || at >= maxAt {
		return errEntry
	}
	expires, err := strconv.ParseUint(part[2], 36, 32)
	if err != nil {
		return errEntry
	}
	parsed := Entry{Kind: Kind(kind), Subject: part[0], At: time.UnixMilli(at)}
	if expires != 0 {
		parsed.Expires = time.Unix(int64(expires), 0)
	}
	// One entry has one form: no leading zeros, signs, capitals or padding
	// bits.
	p, ok := pack(parsed)
	if !ok || string(p.append(make([]byte, 0, maxText))) != string(text) {
		return errEntry
	}
	*e = parsed
	return nil
}

// packed is an Entry in the form that a table holds.
type packed struct {
	kind    Kind
	id      id
	at      int64  // milliseconds since 1970; greater than 0, less than maxAt
	expires uint32 // seconds since 1970, 0 for never
}

// maxAt is the first At that does not fit into a slot, in the year 10889.
const maxAt = 1 << 48

// id is the part of a user ID or token ID that a table stores.
type id struct {
	hash   uint32 // for the filter
	hi, lo uint64 // the first 128 bits of the SHA-256
}

// identify hashes a user ID or token ID. The result holds no part of s.
func identify(s string) id {
	var buffer [64]byte
	sum := sha256.Sum256(append(buffer[:0], s...))
	return id{
		hash: filterHash(s),
		hi:   binary.BigEndian.Uint64(sum[:8]),
		lo:   binary.BigEndian.Uint64(sum[8:16]),
	}
}

// subject returns the Subject of an Entry.
func (i id) subject() string {
	var b [20]byte
	binary.BigEndian.PutUint32(b[:4], i.hash)
	binary.BigEndian.PutUint64(b[4:12], i.hi)
	binary.BigEndian.PutUint64(b[12:], i.lo)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

var subjects = base64.RawURLEncoding.Strict()

// subjectLength is the length of 20 bytes in base64url without padding.
const subjectLength = 27

func parseSubject(s string) (id, bool) {
	var b [21]byte
	var text [subjectLength]byte
	if len(s) != subjectLength {
		return id{}, false
	}
	copy(text[:], s)
	// Decode skips CR and LF, so the length shows whether there were any.
	if n, err := subjects.Decode(b[:], text[:]); err != nil || n != 20 {
		return id{}, false
	}
	return id{
		hash: binary.BigEndian.Uint32(b[:4]),
		hi:   binary.BigEndian.Uint64(b[4:12]),
		lo:   binary.BigEndian.Uint64(b[12:20]),
	}, true
}

// pack checks e and returns its packed form.
func pack(e Entry) (p packed, ok bool) {
	p = packed{kind: e.Kind, at: e.At.UnixMilli()}
	if p.at <= 0 || p.at >= maxAt {
		return p, false
	}
	switch e.Kind {
	case KindUser, KindToken, KindUnblock, KindAll:
		if e.Expires.IsZero() {
			return p, false
		}
	case KindBlock:
	default:
		return p, false
	}
	if !e.Expires.IsZero() {
		seconds := e.Expires.Unix()
		if e.Expires.Nanosecond() > 0 {
			seconds++
		}
		if seconds <= 0 {
			return p, false
		}
		p.expires = uint32(min(seconds, math.MaxUint32))
	}
	if e.Kind == KindAll {
		return p, e.Subject == ""
	}
	p.id, ok = parseSubject(e.Subject)
	return p, ok
}

// entry returns p as an Entry.
func (p packed) entry() Entry {
	e := Entry{Kind: p.kind, At: time.UnixMilli(p.at)}
	if p.kind != KindAll {
		e.Subject = p.id.subject()
	}
	if p.expires != 0 {
		e.Expires = time.Unix(int64(p.expires), 0)
	}
	return e
}

func (p packed) append(b []byte) []byte {
	b = append(b, '1', letters[p.kind], '.')
	if p.kind != KindAll {
		b = append(b, p.id.subject()...)
	}
	b = append(b, '.')
	b = strconv.AppendInt(b, p.at, 36)
	b = append(b, '.')
	return strconv.AppendUint(b, uint64(p.expires), 36)
}

// filterHash returns 32 bits of a fast hash of s, after wyhash: it multiplies
// 16 bytes at a time into 128 bits and folds them. It is a part of Subject, so
// its result must never change. It is not a security boundary: SHA-256 decides.
func filterHash(s string) uint32 {
	const (
		k0 = 0xa0761d6478bd642f
		k1 = 0xe7037ed1a0b428db
		k2 = 0x8ebc6af09c88c6e3
	)
	n := uint64(len(s))
	h := uint64(k0)
	for len(s) > 16 {
		hi, lo := bits.Mul64(word(s)^k1, word(s[8:])^h)
		h = hi ^ lo
		s = s[16:]
	}
	var a, b uint64
	switch {
	case len(s) >= 8:
		a, b = word(s), word(s[len(s)-8:])
	case len(s) >= 4:
		a, b = half(s), half(s[len(s)-4:])
	case len(s) > 0:
		a = uint64(s[0])<<16 | uint64(s[len(s)/2])<<8 | uint64(s[len(s)-1])
	}
	hi, lo := bits.Mul64(a^k1^n, b^h)
	hi, lo = bits.Mul64(hi^lo^k2, k1)
	return uint32((hi ^ lo) >> 32)
}

func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func half(s string) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}
