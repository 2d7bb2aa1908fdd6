package jose

import "encoding/binary"

// sextets maps a byte to the six of 24 bits that it encodes as the first,
// second, third or fourth character of a group. A byte outside the alphabet
// maps to noSextet, a bit beyond the 24.
type sextets [4][256]uint32

const noSextet = 1 << 24

var base64url = func() (t sextets) {
	for place := range t {
		for c := range t[place] {
			t[place][c] = noSextet
		}
		for value, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZ" +
			"abcdefghijklmnopqrstuvwxyz0123456789-_") {
			t[place][c] = uint32(value) << (18 - 6*place)
		}
	}
	return t
}()

// AppendDecoded decodes segment and appends the result to dst. It accepts the
// canonical encoding only: the URL alphabet, no padding, unused bits zero, no
// other characters (RFC 7515 §2, RFC 4648 §3.5). Otherwise it returns dst and
// ErrBase64. encoding/base64 skips CR and LF even in strict mode, and takes
// twice as long.
func AppendDecoded(dst []byte, segment string) ([]byte, error) {
	start, n := len(dst), len(segment)*6/8
	if cap(dst)-start < n {
		dst = append(make([]byte, 0, start+n), dst...)
	}
	t, s, out := &base64url, segment, dst[start:start+n]
	var seen uint32 // the bits of all groups
	for len(s) >= 8 && len(out) >= 8 {
		a := t[0][s[0]] | t[1][s[1]] | t[2][s[2]] | t[3][s[3]]
		b := t[0][s[4]] | t[1][s[5]] | t[2][s[6]] | t[3][s[7]]
		seen |= a | b
		// This writes two bytes too many. The next group overwrites them.
		binary.BigEndian.PutUint64(out, uint64(a)<<40|uint64(b)<<16)
		s, out = s[8:], out[6:]
	}
	for len(s) >= 4 {
		a := t[0][s[0]] | t[1][s[1]] | t[2][s[2]] | t[3][s[3]]
		seen |= a
		out[0], out[1], out[2] = byte(a>>16), byte(a>>8), byte(a)
		s, out = s[4:], out[3:]
	}
	unused := uint32(0)
	switch len(s) {
	case 1:
		return dst[:start], ErrBase64
	case 2:
		a := t[0][s[0]] | t[1][s[1]]
		seen |= a
		out[0], unused = byte(a>>16), a&0xffff
	case 3:
		a := t[0][s[0]] | t[1][s[1]] | t[2][s[2]]
		seen |= a
		out[0], out[1], unused = byte(a>>16), byte(a>>8), a&0xff
	}
	if seen&noSextet != 0 || unused != 0 {
		return dst[:start], ErrBase64
	}
	return dst[:start+n], nil
}
