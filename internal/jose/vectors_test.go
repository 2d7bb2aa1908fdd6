package jose

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// vector is a published example. Those of testdata/vectors.json are copied from
// the RFCs, with two changes: private members of keys are left out, and a key
// without a kid was given one.
type vector struct {
	Name   string          `json:"name"`
	Source string          `json:"source"`
	Alg    string          `json:"alg"`
	JWKS   json.RawMessage `json:"jwks"`
	Token  string          `json:"token"`
	// Verdict is "verified", "no key" for a symmetric algorithm, or "segments"
	// for a text that is not a compact JWS with a signature.
	Verdict string `json:"verdict"`
}

func vectors(tb testing.TB) (vs []vector) {
	tb.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(text, &vs); err != nil {
		tb.Fatal(err)
	}
	return vs
}

func TestVectors(t *testing.T) {
	counts := make(map[string]int)
	for _, v := range vectors(t) {
		t.Run(v.Source+" "+v.Name, func(t *testing.T) {
			counts[v.Verdict]++
			keys, skipped, err := ParseSet(string(v.JWKS), []string{v.Alg})
			if err != nil {
				t.Fatal(err)
			}
			token, err := Split(v.Token)
			if v.Verdict == "segments" {
				if !errors.Is(err, ErrSegments) {
					t.Errorf("Split: %v, want ErrSegments", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}

			header := decode(t, token.Header)
			var h struct{ Alg, Kid string }
			if err := json.Unmarshal(header, &h); err != nil || h.Alg != v.Alg {
				t.Fatalf("header %s, %v, want alg %s", header, err, v.Alg)
			}
			// Most tokens of the RFCs have no kid and are refused for that
			// first.
			got, err := ParseHeader(string(header))
			if h.Kid == "" {
				if !errors.Is(err, ErrHeader) || got != (Header{Algorithm: v.Alg}) {
					t.Errorf("ParseHeader: %+v, %v, want a refusal for the missing kid", got, err)
				}
			} else if err != nil || got != (Header{h.Alg, h.Kid}) {
				t.Errorf("ParseHeader: %+v, %v, want %+v", got, err, h)
			}

			decode(t, token.Payload)
			signature := decode(t, token.Signature)
			switch v.Verdict {
			case "verified":
				if len(keys) != 1 || len(skipped) != 0 {
					t.Fatalf("%d keys, skipped %+v", len(keys), skipped)
				}
				for id, k := range keys {
					if h.Kid != "" && h.Kid != id {
						t.Errorf("the token is for %q, the key is %q", h.Kid, id)
					}
					if err := k.Verify([]byte(token.SigningInput), signature); err != nil {
						t.Error(err)
					}
					for i := range signature {
						wrong := slices.Clone(signature)
						wrong[i] ^= 0x80
						if k.Verify([]byte(token.SigningInput), wrong) == nil {
							t.Fatalf("passes with byte %d changed", i)
						}
					}
				}
			case "no key":
				if len(keys) != 0 || len(skipped) != 1 || skipped[0].Reason != "symmetric key" {
					t.Errorf("%d keys, skipped %+v", len(keys), skipped)
				}
				// The signature is the RFC's, so the type of the key is the
				// only reason for the refusal.
				var set struct{ Keys []struct{ K string } }
				if err := json.Unmarshal(v.JWKS, &set); err != nil {
					t.Fatal(err)
				}
				mac := hmac.New(sha256.New, decode(t, set.Keys[0].K))
				mac.Write([]byte(token.SigningInput))
				if !hmac.Equal(mac.Sum(nil), signature) {
					t.Error("the HMAC differs")
				}
			default:
				t.Errorf("unknown verdict %q", v.Verdict)
			}
		})
	}
	if counts["verified"] != 7 || counts["no key"] != 2 || counts["segments"] != 4 {
		t.Errorf("verdicts: %v", counts)
	}
}

func decode(t *testing.T, segment string) []byte {
	t.Helper()
	b, err := AppendDecoded(nil, segment)
	if err != nil {
		t.Fatalf("%s: %v", segment, err)
	}
	return b
}

// Tokens that are refused for their form only have correct signatures. Each
// signature is valid as part of a compact JWS.
func TestVectorsOfJSONSerialization(t *testing.T) {
	signatures := 0
	for _, v := range vectors(t) {
		if !strings.HasPrefix(v.Token, "{") {
			continue
		}
		keys, _, err := ParseSet(string(v.JWKS), Algorithms())
		if err != nil {
			t.Fatal(err)
		}
		type signed struct {
			Protected, Signature string
			Header               struct{ Kid string }
		}
		var m struct {
			signed
			Payload    string
			Signatures []signed
		}
		if err := json.Unmarshal([]byte(v.Token), &m); err != nil {
			t.Fatal(err)
		}
		if m.Signatures == nil {
			m.Signatures = []signed{m.signed}
		}
		for _, s := range m.Signatures {
			signatures++
			k := keys[s.Header.Kid]
			if k == nil {
				t.Errorf("%s: no key %q", v.Source, s.Header.Kid)
			} else if err := k.Verify([]byte(s.Protected+"."+m.Payload),
				decode(t, s.Signature)); err != nil {
				t.Errorf("%s, key %q: %v", v.Source, k.ID, err)
			}
		}
	}
	if signatures != 3 {
		t.Errorf("%d signatures, want 3", signatures)
	}
}

// The two tokens without a signature have alg "none" in their header.
func TestVectorsUnsecured(t *testing.T) {
	want := map[string]string{
		"RFC 7515 A.5": `{"alg":"none"}`,
		"RFC 7515 E": "{\"alg\":\"none\",\r\n \"crit\":[\"http://example.com/UNDEFINED\"],\r\n" +
			" \"http://example.com/UNDEFINED\":true\r\n}",
	}
	for _, v := range vectors(t) {
		header, _, _ := strings.Cut(v.Token, ".")
		if text, ok := want[v.Source]; ok {
			delete(want, v.Source)
			if got, err := base64.RawURLEncoding.DecodeString(header); err != nil ||
				string(got) != text {
				t.Errorf("%s: header %q, %v", v.Source, got, err)
			}
			// They are refused with a signature too.
			if _, err := ParseHeader(text); err == nil {
				t.Errorf("%s: header accepted", v.Source)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("not among the vectors: %v", want)
	}
}
