package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/parajwt/parajwt/jwks"
)

const keysHelp = `usage: parajwt keys --env prod|beta|sandbox|URL [--save FILE] [--json]

Fetches the key set of an environment with the library's key cache. Shows each
key as served, and whether and why the library uses or skips it.

  parajwt keys --env beta
  parajwt keys --env http://127.0.0.1:8080      (parajwt serve)

--save writes the keys to a file. A server can start with it while Para is down
or without a network:

  parajwt keys --env beta --save beta.json

  jwks.Config{
      Initial: jwks.FromFile(os.DirFS("/etc/app"), "beta.json"),
  }

The keys of another environment let the log name the environment of a token
with an unknown key:

  middleware.Config{
      OtherEnvironments: []jwks.Source{
          jwks.FromFile(os.DirFS("/etc/app"), "prod.json"),
      },
  }

The file has public keys only. Protect it from changes: a server trusts its
keys.

Flags
  --env ENV    prod, beta, sandbox or the URL of a key set; default:
               $PARA_ENVIRONMENT
  --save FILE  write the usable keys to FILE, replacing it in one step
  --json       print one JSON object

Exit status
  0  there are usable keys
  1  the keys could not be saved
  2  wrong usage
  3  the key set could not be fetched, or has no usable key

JSON
  environment, url  what was fetched
  status, contentType, cacheControl, bytes
                    the response; absent if there was none
  usable            whether any key can verify a token
  error             why no key can verify a token
  keys              [{index, kid, kty, bits, curve, alg, use, usedAs, skipped}];
                    alg and use are as served, usedAs is the algorithm that the
                    key verifies, skipped is why it is unused
  servesAlg, servesUse
                    on how many of the keys: "all", "some" or "none"
  saved             the file that was written
`

// keysReport is the result of the command keys.
type keysReport struct {
	Environment string `json:"environment"`
	URL         string `json:"url"`

	Status       int    `json:"status,omitempty"`
	ContentType  string `json:"contentType,omitempty"`
	CacheControl string `json:"cacheControl,omitempty"`
	Bytes        int    `json:"bytes,omitempty"`

	Usable    bool        `json:"usable"`
	Error     string      `json:"error,omitempty"`
	Keys      []servedKey `json:"keys"`
	ServesAlg string      `json:"servesAlg,omitempty"`
	ServesUse string      `json:"servesUse,omitempty"`
	Saved     string      `json:"saved,omitempty"`
}

func keys(ctx context.Context, args []string, std streams) int {
	fs := newFlags("keys")
	name := fs.String("env", "", "")
	save := fs.String("save", "", "")
	asJSON := fs.Bool("json", false, "")
	rest, status, done := parse(fs, args, std)
	if done {
		return status
	}
	if len(rest) > 0 {
		return misused(std, "keys", "it takes no arguments; name the environment with --env")
	}
	env, err := environment(*name)
	if err != nil {
		return misused(std, "keys", err.Error())
	}

	recorder := newRecorder()
	cache, err := jwks.New(env, jwks.Config{
		HTTPClient: &http.Client{Transport: recorder},
	}, jwks.WithLogger(slog.New(slog.DiscardHandler))) // the report has the same facts
	if err != nil {
		return misused(std, "keys", err.Error())
	}
	failure := cache.Warm(ctx)
	cache.Close() // a closed cache keeps its keys and fetches none
	r := keysReport{Environment: env.Name, URL: env.URL, Usable: failure == nil}
	recorder.report(&r)
	r.Keys = servedKeys(ctx, recorder.body.Bytes(), cache)
	r.ServesAlg = howMany(r.Keys, func(k servedKey) string { return k.Algorithm })
	r.ServesUse = howMany(r.Keys, func(k servedKey) string { return k.Use })

	status = exitOK
	switch {
	case failure != nil:
		r.Error, status = cache.Status().LastError, exitNoKeys
	case *save != "":
		if err := saveKeys(*save, cache); err != nil {
			complain(std, "keys", "--save: "+err.Error())
			status = exitRefused
		} else {
			r.Saved = *save
		}
	}
	if *asJSON {
		writeJSON(std.out, r)
	} else {
		r.print(std.out)
	}
	return status
}

func (r keysReport) print(w screen) {
	var s sheet
	fmt.Fprintf(&s, "%s: %s\n", printable(r.Environment), printable(r.URL))
	if r.Status != 0 {
		fmt.Fprintf(&s, "answered %d, %s, Cache-Control: %s, %d bytes\n",
			r.Status, orNone(r.ContentType), orNone(r.CacheControl), r.Bytes)
	}
	if len(r.Keys) > 0 {
		s.WriteString("\n" + r.table(w.columns))
		fmt.Fprintf(&s, "\nalg is served on %s of the keys, use on %s.", r.ServesAlg, r.ServesUse)
		if r.ServesAlg != "all" {
			s.WriteString(" A key without alg gets the first allowed algorithm that fits it.")
		}
		s.WriteByte('\n')
	}
	if !r.Usable {
		fmt.Fprintf(&s, "\n%sNO KEYS%s: %s\nNo token can be verified until this is fixed.\n",
			markBad, markEnd, printable(r.Error))
	}
	if r.Saved != "" {
		fmt.Fprintf(&s, "Saved to %s.\n", printable(r.Saved))
	}
	w.print(s.String())
}

// table returns the keys as a table, or one below the other if the table is too
// wide.
func (r keysReport) table(columns int) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  kid\tkty\tsize\talg served\tuse served\tverifies")
	for _, k := range r.Keys {
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\n", orNone(k.KeyID), orNone(k.Type), k.size(),
			orNone(k.Algorithm), orNone(k.Use), k.usedAs())
	}
	t.Flush()
	if !slices.ContainsFunc(
		strings.Split(b.String(), "\n"),
		func(line string) bool { return width(line) > columns },
	) {
		return b.String()
	}
	s := sheet{names: 10}
	for i, k := range r.Keys {
		if i > 0 {
			s.WriteByte('\n')
		}
		s.line("kid", orNone(k.KeyID))
		s.line("kty", orNone(k.Type)+", "+k.size())
		s.line("alg served", orNone(k.Algorithm))
		s.line("use served", orNone(k.Use))
		s.line("verifies", k.usedAs())
	}
	return s.String()
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return printable(s)
}

func howMany(keys []servedKey, member func(servedKey) string) string {
	var with int
	for _, k := range keys {
		if member(k) != "" {
			with++
		}
	}
	switch {
	case len(keys) == 0:
		return ""
	case with == len(keys):
		return "all"
	case with == 0:
		return "none"
	}
	return "some"
}

// recorder is a transport that records the response that the cache reads, so
// that the report shows it and not a second one.
type recorder struct {
	next http.RoundTripper
	res  *http.Response
	body bytes.Buffer
}

func newRecorder() *recorder {
	return &recorder{next: &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DisableKeepAlives: true,
	}}
}

func (t *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	t.res = res
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(res.Body, &t.body), res.Body}
	return res, nil
}

// report adds the response to the report.
func (t *recorder) report(r *keysReport) {
	if t.res == nil {
		return
	}
	r.Status, r.Bytes = t.res.StatusCode, t.body.Len()
	r.ContentType = t.res.Header.Get("Content-Type")
	r.CacheControl = strings.Join(t.res.Header.Values("Cache-Control"), ", ")
}

// servedKey is a key as served, and how the cache uses it.
type servedKey struct {
	Index     int    `json:"index"` // in the set
	KeyID     string `json:"kid,omitempty"`
	Type      string `json:"kty,omitempty"`
	Bits      int    `json:"bits,omitempty"`  // of an RSA modulus
	Curve     string `json:"curve,omitempty"` // of another key
	Algorithm string `json:"alg,omitempty"`
	Use       string `json:"use,omitempty"`
	UsedAs    string `json:"usedAs,omitempty"`
	Skipped   string `json:"skipped,omitempty"`
}

// servedKeys decodes the set leniently, and adds whether the cache uses each
// key. It shows only members that are public in every type of key.
func servedKeys(ctx context.Context, body []byte, cache *jwks.Cache) []servedKey {
	var set map[string]json.RawMessage
	var raws []json.RawMessage
	keys := []servedKey{}
	if json.Unmarshal(body, &set) != nil || json.Unmarshal(set["keys"], &raws) != nil {
		return keys
	}
	status := cache.Status()
	skipped := make(map[int]string)
	for _, s := range status.Skipped {
		skipped[s.Index] = s.Reason
	}
	for i, text := range raws {
		var raw map[string]any
		if json.Unmarshal(text, &raw) != nil {
			raw = nil // not an object: the cache skipped it
		}
		k := servedKey{
			Index: i, KeyID: served(raw["kid"]), Type: served(raw["kty"]),
			Curve: served(raw["crv"]), Algorithm: served(raw["alg"]),
			Use: served(raw["use"]), Skipped: skipped[i],
		}
		if n, isText := raw["n"].(string); isText && k.Type == "RSA" {
			modulus, _ := base64.RawURLEncoding.DecodeString(strings.TrimRight(n, "="))
			k.Bits = new(big.Int).SetBytes(modulus).BitLen()
		}
		switch {
		case k.Skipped != "":
		case !slices.Contains(status.KeyIDs, k.KeyID):
			k.Skipped = "the set as a whole is refused"
		default:
			if key, err := cache.Key(ctx, k.KeyID); err == nil {
				k.UsedAs = key.Algorithm()
			}
		}
		keys = append(keys, k)
	}
	return keys
}

// served returns a string as its text, and any other value as JSON.
func served(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	text, _ := json.Marshal(v)
	return string(text)
}

func (k servedKey) size() string {
	switch {
	case k.Bits > 0:
		return fmt.Sprintf("%d bits", k.Bits)
	case k.Curve != "":
		return printable(k.Curve)
	}
	return "-"
}

func (k servedKey) usedAs() string {
	if k.UsedAs != "" {
		return k.UsedAs
	}
	return "nothing; skipped: " + k.Skipped
}

// saveKeys writes a snapshot to a temporary file and renames it, so that
// readers never see a partial one.
func saveKeys(file string, cache *jwks.Cache) (err error) {
	data, err := cache.Snapshot()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".parajwt-*")
	if err != nil {
		return err
	}
	defer func() {
		f.Close() // has no effect after a success
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil { // the keys are public
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
