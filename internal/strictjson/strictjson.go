// Package strictjson reads JSON so that a text has one meaning or none.
//
// encoding/json takes a name in any case, keeps the last of two equal names and replaces what is
// not UTF-8; each of those lets two readers of one signed text see two different things (RFC 8725
// §2.4 and §3.7). This decoder refuses them. It goes over a text once, and what it returns are
// substrings of that text wherever no escape stands in the way, so that reading a token's payload
// allocates next to nothing.
package strictjson

import (
	"fmt"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxDepth is how many objects and arrays may stand inside one another.
const MaxDepth = 16

// Error tells what is wrong with a text and where. It never quotes the text.
type Error struct {
	Offset int    // in bytes from the start
	Reason string // in a few words, without any of the text
	Syntax bool   // false: the value is well-formed, but not what the reader asked for
}

func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset) }

// Decoder reads one text. The zero Decoder reads the empty text; use New. The first mistake ends
// the reading: every later call returns a zero value, and Err tells what it was.
type Decoder struct {
	text  string
	pos   int
	depth int
	raw   bool // inside Raw: a string may be any text
	fold  bool
	err   *Error
	spare map[string]struct{} // an empty one, for the next object of many names
	limit int                 // of the names of one object; 0: none
	named int                 // how many of names are in use
	names [40]string          // of all open objects, the innermost last
	more  []string            // those that find no place in names, up to 40 for each object
}

// New returns a decoder for text.
func New(text string) *Decoder { return &Decoder{text: text} }

// RefuseFoldedNames makes names of one object that differ only in case count as duplicates, for
// when the text will be handed to a reader that matches names in any case.
func (d *Decoder) RefuseFoldedNames() { d.fold = true }

// LimitNames refuses objects of more than n names. Checking more for duplicates
// costs more memory and time than the text is worth.
func (d *Decoder) LimitNames(n int) { d.limit = n }

// Err returns the first mistake, or nil.
func (d *Decoder) Err() error {
	if d.err == nil {
		return nil
	}
	return d.err
}

// End reports whether the text was read to its end without a mistake.
func (d *Decoder) End() error {
	d.space()
	if d.err == nil && d.pos < len(d.text) {
		d.syntax("data after the value")
	}
	return d.Err()
}

// Fail records a mistake in the value just read, unless there was one before it.
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

// Peek returns the first byte of the next value: '{', '[', '"', 't', 'f', 'n', or '0' for every
// number; 0 when there is none.
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

// expect is Peek for a reader that takes one type only.
func (d *Decoder) expect(c byte, what string) bool {
	switch d.Peek() {
	case c:
		return true
	case '{', '[', '"', 't', 'f', 'n', '0':
		d.Skip() // a value that is no JSON has no type to be wrong
		d.Fail("not " + what)
	default:
		d.unexpected()
	}
	return false
}

// unexpected records that no value, or not what must follow one, stands here.
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

// next moves past what separates the elements of an object or array, and reports whether there is
// another one. At the closing bracket it moves past that.
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

// Object yields the names of the next value, which must be an object, each before its value is
// read. A value that the loop's body does not read is skipped. Use it as
//
//	for name := range d.Object { … }
//
// and do not break out of the loop: a text is read to its end or refused.
func (d *Decoder) Object(yield func(name string) bool) {
	if !d.expect('{', "an object") || !d.open() {
		return
	}
	outer, outerMore := d.named, len(d.more)
	var many map[string]struct{} // for what finds no place in names and more
	for first := true; d.next('}', first); first = false {
		name, ok := d.name()
		if !ok {
			return
		}
		key := name
		if d.fold {
			key = foldName(name)
		}
		if !d.unique(key, outer, outerMore, &many) {
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
	d.named, d.more = outer, d.more[:outerMore]
	if many != nil {
		clear(many)
		d.spare = many
	}
}

// name reads a name and the colon after it. The space before it has been read.
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

// unique refuses a name that the innermost object, whose names begin at outer, has already.
func (d *Decoder) unique(name string, outer, outerMore int, many *map[string]struct{}) bool {
	_, dup := (*many)[name]
	for _, other := range d.names[outer:d.named] {
		dup = dup || other == name
	}
	for _, other := range d.more[outerMore:] {
		dup = dup || other == name
	}
	switch count := d.named - outer + len(d.more) - outerMore + len(*many); {
	case dup:
		d.syntax("duplicate name")
		return false
	case d.limit > 0 && count == d.limit:
		d.syntax("too many names")
		return false
	case d.named < len(d.names):
		d.names[d.named] = name
		d.named++
	case len(d.more)-outerMore < len(d.names):
		d.more = append(d.more, name)
	case *many == nil && d.spare != nil:
		*many, d.spare = d.spare, nil
		(*many)[name] = struct{}{}
	case *many == nil:
		*many = map[string]struct{}{name: {}}
	default:
		(*many)[name] = struct{}{}
	}
	return true
}

// foldName maps all spellings that encoding/json holds equal to one, by taking for each rune the
// least of those that fold to it: ς and σ become Σ, k and the Kelvin sign K.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r) // the next greater one, and after the greatest the least
			if next <= r {
				return next
			}
			r = next
		}
	}, name)
}

// Array yields once for each element of the next value, which must be an array. An element that
// the loop's body does not read is skipped.
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
		if len(name) >= len(k) && name != k && strings.EqualFold(name, k) {
			d.syntax("a name in another case than " + k)
			return
		}
	}
}

// Null reports whether the next value is null, and reads it if it is.
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

// Skip reads over the next value, as strictly as if it had been asked for.
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

// Raw returns the text of the next value. Only its syntax is checked, so that one value which a
// strict reader would refuse does not spoil its neighbours: give it to a Decoder of its own.
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

// rawValue is Skip without a limit to the depth, and so without recursion.
func (d *Decoder) rawValue() {
	var closing []byte // the brackets that are to come, the innermost last
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
			closing, first = append(closing, c+2), true // in ASCII the pairs are two apart
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

// quoted reads on from the quotation mark of a string.
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

// plain moves past characters of a string that mean themselves, eight at a time: it stops at a quotation
// mark, a backslash, a control character, a byte beyond ASCII, or within eight bytes of the end.
func (d *Decoder) plain() {
	const (
		each = 0x0101010101010101
		high = 0x8080808080808080
	)
	for d.pos+8 <= len(d.text) {
		b := d.text[d.pos : d.pos+8]
		w := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		// The lowest bit that is left is of the first such byte; those above it may be of others.
		quote, backslash := w^(each*'"'), w^(each*'\\')
		found := ((w-each*' ')&^w | (quote-each)&^quote | (backslash-each)&^backslash | w) & high
		if found != 0 {
			d.pos += bits.TrailingZeros64(found) / 8
			return
		}
		d.pos += 8
	}
}

// escaped reads on from the first backslash of a string that began at start.
func (d *Decoder) escaped(start int) string {
	var b strings.Builder
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

// codeUnit reads the four hex digits of a \u escape.
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

// Number reads a number and returns it as it was written (RFC 8259 §6).
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

// digits reads one or more; where there is none, that is a mistake.
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
