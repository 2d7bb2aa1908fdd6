// Package strictjson decodes JSON and refuses ambiguous texts.
//
// encoding/json ignores the case of names, keeps the last of two equal names
// and replaces invalid UTF-8. With each of these, two readers of one signed
// text can see different values (RFC 8725 §2.4 and §3.7). This decoder refuses
// such texts. It reads a text once. The strings that it returns are substrings
// of the text unless they contain escapes, so it allocates little.
package strictjson

import (
	"fmt"
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxDepth is the maximum nesting depth of objects and arrays.
const MaxDepth = 16

// Error reports the first error in a text. It never quotes the text.
type Error struct {
	Offset int    // in bytes from the start
	Reason string // a few words
	Syntax bool   // false for a well-formed value of a wrong type, and for an error of Fail
}

func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset) }

// Decoder decodes one text. After the first error every method returns a zero
// value, and Err returns the error. The zero Decoder decodes the empty text. A
// Decoder must not be used concurrently.
type Decoder struct {
	text  string
	pos   int
	depth int
	raw   bool // inside Raw, which checks strings less
	fold  bool // see RefuseFoldedNames
	err   *Error
	limit int                   // see LimitNames; 0 for none
	named int                   // length of the used part of names
	names [72]string            // the names of all open objects, the innermost last
	more  []string              // names that exceed names, up to 72 of each open object
	spare []map[string]struct{} // empty maps for the next objects of very many names
}

// New returns a decoder for text.
func New(text string) *Decoder { return &Decoder{text: text} }

// RefuseFoldedNames makes names of one object count as duplicates if they
// differ only in case. Use it for texts that another reader decodes without
// regard to case.
func (d *Decoder) RefuseFoldedNames() { d.fold = true }

// LimitNames refuses objects of more than n names, to bound memory and time.
func (d *Decoder) LimitNames(n int) { d.limit = n }

// Err returns the first error, or nil. It is an [*Error].
func (d *Decoder) Err() error {
	if d.err == nil {
		return nil
	}
	return d.err
}

// End returns the first error. It fails if there is data after the value.
func (d *Decoder) End() error {
	d.space()
	if d.err == nil && d.pos < len(d.text) {
		d.syntax("data after the value")
	}
	return d.Err()
}

// Fail records an error in the value just read, unless there was one before.
func (d *Decoder) Fail(reason string) {
	if d.err == nil {
		d.err = &Error{Offset: d.pos, Reason: reason}
	}
}

func (d *Decoder) syntax(reason string) {
	if d.err == nil {
		d.err = &Error{Offset: d.pos, Reason: reason, Syntax: true}
	}
}

func (d *Decoder) space() {
	for d.pos < len(d.text) {
		switch d.text[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

// Peek returns the first byte of the next value: '{', '[', '"', 't', 'f', 'n',
// or '0' for every number. It returns 0 at the end of the text and after an
// error. Any other byte begins no value.
func (d *Decoder) Peek() byte {
	if d.err != nil {
		return 0
	}
	d.space()
	if d.pos >= len(d.text) {
		return 0
	}
	c := d.text[d.pos]
	if c == '-' || '0' <= c && c <= '9' {
		return '0'
	}
	return c
}

// expect reports whether the next value starts with c. If not, it fails.
func (d *Decoder) expect(c byte, what string) bool {
	switch d.Peek() {
	case c:
		return true
	case '{', '[', '"', 't', 'f', 'n', '0':
		d.Skip() // a syntax error in the value takes precedence
		d.Fail("not " + what)
	default:
		d.unexpected()
	}
	return false
}

// unexpected fails with a syntax error at the current position.
func (d *Decoder) unexpected() {
	if d.pos >= len(d.text) {
		d.syntax("unexpected end")
	} else {
		d.syntax("unexpected character")
	}
}

func (d *Decoder) open() bool {
	d.depth++
	if d.depth > MaxDepth {
		d.syntax(fmt.Sprintf("more than %d levels", MaxDepth))
		return false
	}
	d.pos++
	return true
}

// next moves to the next element of an object or array and returns true, or
// moves past the closing bracket and returns false.
func (d *Decoder) next(closing byte, first bool) bool {
	d.space()
	switch {
	case d.err != nil:
	case d.pos >= len(d.text):
		d.unexpected()
	case d.text[d.pos] == closing:
		d.pos++
		d.depth--
	case first:
		return true
	case d.text[d.pos] == ',':
		d.pos++
		d.space()
		if d.pos < len(d.text) && d.text[d.pos] == closing {
			d.syntax("comma before a closing bracket")
			return false
		}
		return true
	default:
		d.unexpected()
	}
	return false
}

// Object yields the names of the next value, which must be an object. The body
// of the loop reads the value of the name, or it is skipped:
//
//	for name := range d.Object { … }
//
// The loop must run to its end. A break fails.
func (d *Decoder) Object(yield func(name string) bool) {
	if !d.expect('{', "an object") || !d.open() {
		return
	}
	seen := members{outer: d.named, outerMore: len(d.more)}
	for first := true; d.next('}', first); first = false {
		name, ok := d.name()
		if !ok {
			return
		}
		key := name
		if d.fold {
			key = foldName(name)
		}
		if !d.unique(key, &seen) {
			return
		}
		d.space()
		before := d.pos
		if !yield(name) {
			d.syntax("not read to the end")
		}
		if d.err == nil && d.pos == before {
			d.Skip()
		}
		if d.err != nil {
			return
		}
	}
	d.named, d.more = seen.outer, d.more[:seen.outerMore]
	if seen.many != nil {
		clear(seen.many)
		d.spare = append(d.spare, seen.many)
	}
}

// name reads a name and the colon after it. The caller has skipped white space.
func (d *Decoder) name() (name string, ok bool) {
	if d.pos >= len(d.text) || d.text[d.pos] != '"' {
		d.syntax("no name")
		return "", false
	}
	name = d.quoted()
	d.space()
	if d.err == nil && (d.pos >= len(d.text) || d.text[d.pos] != ':') {
		d.syntax("no colon after a name")
	}
	if d.err != nil {
		return "", false
	}
	d.pos++
	return name, true
}

// members are the names of one object.
type members struct {
	outer, outerMore int // they begin at names[outer] and more[outerMore]
	// filter has a bit for each name, once there are more than fewNames. A
	// client that sends many names costs one hash each, instead of a search.
	filter [8]uint64
	many   map[string]struct{} // names that exceed names and more
}

const fewNames = 8

// seed makes the hashes of names unpredictable.
var seed = maphash.MakeSeed()

// mark sets the bit of a name, and reports whether it was set before.
func (m *members) mark(name string) bool {
	h := maphash.String(seed, name)
	word, bit := &m.filter[h>>6%uint64(len(m.filter))], uint64(1)<<(h%64)
	set := *word&bit != 0
	*word |= bit
	return set
}

// unique adds a name to its object. It fails if the object has it already.
func (d *Decoder) unique(name string, m *members) bool {
	known, more := d.names[m.outer:d.named], d.more[m.outerMore:]
	count := len(known) + len(more) + len(m.many)
	search := true
	if count >= fewNames {
		if count == fewNames {
			for _, other := range known {
				m.mark(other)
			}
			for _, other := range more {
				m.mark(other)
			}
		}
		search = m.mark(name)
	}
	if search {
		_, dup := m.many[name]
		if dup || slices.Contains(known, name) || slices.Contains(more, name) {
			d.syntax("duplicate name")
			return false
		}
	}
	switch {
	case d.limit > 0 && count == d.limit:
		d.syntax("too many names")
		return false
	case d.named < len(d.names):
		d.names[d.named] = name
		d.named++
	case len(more) < len(d.names):
		if d.more == nil {
			d.more = make([]string, 0, 56) // as many as fit into the largest token header
		}
		d.more = append(d.more, name)
	default:
		if m.many == nil {
			m.many = d.emptyMap()
		}
		m.many[name] = struct{}{}
	}
	return true
}

// emptyMap returns a map that an earlier object used, or a new one.
func (d *Decoder) emptyMap() map[string]struct{} {
	last := len(d.spare) - 1
	if last < 0 {
		return make(map[string]struct{})
	}
	m := d.spare[last]
	d.spare = d.spare[:last]
	return m
}

// foldName maps all names that encoding/json matches with each other to one. It
// replaces each rune by the least that folds to it: ς and σ by Σ, k and the
// Kelvin sign by K.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r) // the next greater rune, or the least after the greatest
			if next <= r {
				return next
			}
			r = next
		}
	}, name)
}

// Array yields once for each element of the next value, which must be an array.
// The body of the loop reads the element, or it is skipped. A break fails.
func (d *Decoder) Array(yield func() bool) {
	if !d.expect('[', "an array") || !d.open() {
		return
	}
	for first := true; d.next(']', first); first = false {
		d.space()
		before := d.pos
		if !yield() {
			d.syntax("not read to the end")
		}
		if d.err == nil && d.pos == before {
			d.Skip()
		}
		if d.err != nil {
			return
		}
	}
}

// RefuseCaseVariant fails if name equals a known name except for case.
func (d *Decoder) RefuseCaseVariant(name string, known []string) {
	for _, k := range known {
		if len(name) >= len(k) && sameLetter(name[0], k[0]) &&
			sameLetter(name[len(name)-1], k[len(k)-1]) && name != k && strings.EqualFold(name, k) {
			d.syntax("name differs from " + k + " only in case")
			return
		}
	}
}

// sameLetter reports whether a may be part of a letter that equals the ASCII
// character b except for case. It may be part of any letter beyond ASCII.
func sameLetter(a, b byte) bool { return a|0x20 == b|0x20 || a >= utf8.RuneSelf }

// Null reports whether the next value is null, and if so reads it.
func (d *Decoder) Null() bool {
	if d.Peek() != 'n' {
		return false
	}
	d.literal("null")
	return d.err == nil
}

func (d *Decoder) literal(word string) {
	if !strings.HasPrefix(d.text[d.pos:], word) {
		d.syntax("unexpected character")
		return
	}
	d.pos += len(word)
}

// Skip reads the next value, and checks it as strictly as the other methods do.
func (d *Decoder) Skip() {
	switch d.Peek() {
	case '{':
		for range d.Object {
		}
	case '[':
		for range d.Array {
		}
	case '"':
		_ = d.String()
	case '0':
		d.Number()
	case 't':
		d.literal("true")
	case 'f':
		d.literal("false")
	case 'n':
		d.literal("null")
	default:
		d.unexpected()
	}
}

// Raw returns the text of the next value. It checks the syntax only, and not
// duplicate names, depth or UTF-8. Use it for a value that may be bad without
// losing its neighbours, and decode the result with another Decoder.
func (d *Decoder) Raw() string {
	d.space()
	start, depth := d.pos, d.depth
	d.raw = true
	d.rawValue()
	d.raw, d.depth = false, depth
	if d.err != nil {
		return ""
	}
	return d.text[start:d.pos]
}

// rawValue is like Skip without a limit of the depth. It does not recurse.
func (d *Decoder) rawValue() {
	var closing []byte // the closing brackets to expect, the innermost last
	first := false
	for {
		if n := len(closing); n > 0 {
			if !d.next(closing[n-1], first) {
				closing, first = closing[:n-1], false
				if d.err != nil || len(closing) == 0 {
					return
				}
				continue
			}
			if closing[n-1] == '}' {
				d.name()
			}
		}
		switch c := d.Peek(); c {
		case '{', '[':
			d.pos++
			closing, first = append(closing, c+2), true // ']' is '['+2, '}' is '{'+2
		default:
			d.Skip()
			first = false
			if d.err != nil || len(closing) == 0 {
				return
			}
		}
	}
}

// String reads a string.
func (d *Decoder) String() string {
	if !d.expect('"', "a string") {
		return ""
	}
	return d.quoted()
}

// quoted reads a string whose quotation mark is next.
func (d *Decoder) quoted() string {
	d.pos++
	start, ascii := d.pos, true
	for {
		d.plain()
		if d.pos >= len(d.text) {
			d.syntax("unexpected end")
			return ""
		}
		switch c := d.text[d.pos]; {
		case c == '"':
			s := d.text[start:d.pos]
			if !ascii && !d.raw && !utf8.ValidString(s) {
				d.syntax("invalid UTF-8")
				return ""
			}
			d.pos++
			return s
		case c == '\\':
			return d.escaped(start)
		case c < ' ':
			d.syntax("control character in a string")
			return ""
		case c >= utf8.RuneSelf:
			ascii = false
		}
		d.pos++
	}
}

// plain skips plain characters of a string, eight at a time. It stops at a
// quotation mark, a backslash, a control character, a byte beyond ASCII, or
// within eight bytes of the end.
func (d *Decoder) plain() {
	const (
		each = 0x0101010101010101
		high = 0x8080808080808080
	)
	for d.pos+8 <= len(d.text) {
		b := d.text[d.pos : d.pos+8]
		w := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		// The lowest set bit belongs to the first such byte. Higher bits may be
		// false, because subtraction borrows.
		quote, backslash := w^(each*'"'), w^(each*'\\')
		found := ((w-each*' ')&^w | (quote-each)&^quote | (backslash-each)&^backslash | w) & high
		if found != 0 {
			d.pos += bits.TrailingZeros64(found) / 8
			return
		}
		d.pos += 8
	}
}

// escaped reads the rest of a string that begins at start and whose first
// backslash is next.
func (d *Decoder) escaped(start int) string {
	// An escape is at least as long as its character, so the source is at least
	// as long as the result. Without Grow, the result could retain twice its
	// length.
	end := d.pos
	for end < len(d.text) && d.text[end] != '"' {
		if d.text[end] == '\\' {
			end++
		}
		end++
	}
	var b strings.Builder
	b.Grow(min(end, len(d.text)) - start)
	b.WriteString(d.text[start:d.pos])
	for d.pos < len(d.text) {
		c := d.text[d.pos]
		switch {
		case c == '"':
			if !d.raw && !utf8.ValidString(b.String()) {
				d.syntax("invalid UTF-8")
				return ""
			}
			d.pos++
			return b.String()
		case c < ' ':
			d.syntax("control character in a string")
			return ""
		case c != '\\':
			b.WriteByte(c)
			d.pos++
			continue
		}
		d.pos++
		if d.pos >= len(d.text) {
			break
		}
		c = d.text[d.pos]
		d.pos++
		switch c {
		case '"', '\\', '/':
			b.WriteByte(c)
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			r := d.codeUnit()
			if 0xD800 <= r && r < 0xDC00 && strings.HasPrefix(d.text[d.pos:], `\u`) {
				d.pos += 2
				if low := d.codeUnit(); 0xDC00 <= low && low < 0xE000 {
					r = (r-0xD800)<<10 + (low - 0xDC00) + 0x10000
				}
			}
			if d.err == nil && 0xD800 <= r && r < 0xE000 && !d.raw {
				d.syntax("half of a surrogate pair")
			}
			b.WriteRune(r)
		default:
			d.syntax("unknown escape")
		}
		if d.err != nil {
			return ""
		}
	}
	d.syntax("unexpected end")
	return ""
}

// codeUnit reads the four hexadecimal digits of a \u escape.
func (d *Decoder) codeUnit() rune {
	if len(d.text)-d.pos < 4 {
		d.syntax("unexpected end")
		return 0
	}
	var r rune
	for _, c := range []byte(d.text[d.pos : d.pos+4]) {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			d.syntax("unknown escape")
			return 0
		}
	}
	d.pos += 4
	return r
}

// Number reads a number and returns its text (RFC 8259 §6).
func (d *Decoder) Number() string {
	if !d.expect('0', "a number") {
		return ""
	}
	start := d.pos
	if d.text[d.pos] == '-' {
		d.pos++
	}
	if d.pos < len(d.text) && d.text[d.pos] == '0' {
		d.pos++
	} else if d.digits() == 0 {
		return ""
	}
	if d.pos < len(d.text) && d.text[d.pos] == '.' {
		d.pos++
		if d.digits() == 0 {
			return ""
		}
	}
	if d.pos < len(d.text) && (d.text[d.pos] == 'e' || d.text[d.pos] == 'E') {
		d.pos++
		if d.pos < len(d.text) && (d.text[d.pos] == '+' || d.text[d.pos] == '-') {
			d.pos++
		}
		if d.digits() == 0 {
			return ""
		}
	}
	return d.text[start:d.pos]
}

// digits reads one or more digits and returns how many. It fails if there is
// none.
func (d *Decoder) digits() int {
	start := d.pos
	for d.pos < len(d.text) && '0' <= d.text[d.pos] && d.text[d.pos] <= '9' {
		d.pos++
	}
	if d.pos == start {
		d.syntax("not a number")
	}
	return d.pos - start
}
