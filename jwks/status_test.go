package jwks_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// Dashboards parse this JSON, so names and types must not change.
func TestStatusJSON(t *testing.T) {
	now := newClock()
	c := (&lab{url: "http://127.0.0.1:1"}).cache(t, jwks.Config{}, jwks.WithClock(now.Now))
	marshal := func() string {
		t.Helper()
		text, err := json.Marshal(c.Status())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const cold = `{"environment":"lab","url":"http://127.0.0.1:1/.well-known/jwks.json",` +
		`"state":"cold","usable":false,"stale":false,"kids":[],"fetches":0,"failures":0}`
	if got := marshal(); got != cold {
		t.Errorf("cold:\n%s\n%s", got, cold)
	}

	l := newLab(t)
	l.does(body(testkit.Set(keyB().JWK(), keyA().JWK(), `{"kid":"x","kty":"LWE"}`), "Cache-Control",
		"max-age=60"))
	c = l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
	found(t, c, "a")
	next := c.Status().NextFetch.Format(time.RFC3339Nano)
	warm := `{"environment":"lab","url":"` + l.url +
		`/.well-known/jwks.json","state":"fresh","usable":true,"stale":false,"kids":["a","b"],` +
		`"skipped":[{"index":2,"kid":"x","reason":"unknown kty"}],` +
		`"fetchedAt":"2026-02-03T04:05:06Z","nextFetch":"` + next + `",` +
		`"staleAt":"2026-02-06T04:05:06Z","fetches":1,"failures":0}`
	if got := marshal(); got != warm {
		t.Errorf("warm:\n%s\n%s", got, warm)
	}

	l.does(status(503))
	now.Advance(time.Minute + timeout)
	settle(c)
	found(t, c, "a")
	next = c.Status().NextFetch.Format(time.RFC3339Nano)
	stale := strings.NewReplacer(`"state":"fresh"`, `"state":"stale"`, `"stale":false`,
		`"stale":true`, `"fetches":1,"failures":0`,
		`"fetches":2,"failures":1,"lastError":"key set's server answered 503",`+
			`"errorAt":"2026-02-03T04:06:11Z"`,
		warm[strings.Index(warm, `"nextFetch"`):strings.Index(warm, `"staleAt"`)],
		`"nextFetch":"`+next+`",`).Replace(warm)
	if got := marshal(); got != stale {
		t.Errorf("stale:\n%s\n%s", got, stale)
	}
}

// Stale depends on the age of the keys. A failed refresh alone does not set it.
func TestStatusStale(t *testing.T) {
	l, now, c := started(t, jwks.Config{})
	start := now.Now()
	l.does(status(500))
	now.Set(start.Add(refresh + timeout - 1))
	settle(c)
	if st := c.Status(); st.Failures != 1 || st.Stale {
		t.Errorf("before the keys are overdue: %+v", st)
	}
	now.Set(start.Add(refresh + timeout))
	if st := c.Status(); !st.Stale || !st.Usable {
		t.Errorf("when the keys are overdue: %+v", st)
	}
	l.serves(keyA())
	now.Advance(time.Minute)
	settle(c)
	if st := c.Status(); st.Stale || st.Failures != 0 || st.LastError != "" || st.ErrorAt.IsZero() {
		t.Errorf("after a success: %+v", st)
	}
	for _, at := range []time.Time{c.Status().FetchedAt, c.Status().NextFetch, c.Status().StaleAt,
		c.Status().ErrorAt} {
		if at.Location() != time.UTC {
			t.Errorf("not in UTC: %v", at)
		}
	}
	now.Advance(time.Hour) // a suspended process, without a failed fetch
	if st := c.Status(); st.Stale {
		t.Errorf("in a process that was suspended: %+v", st)
	}
}

// docs/outages.md quotes the errors of a fetch, each of which is in the source.
func TestDocumentedErrorsExist(t *testing.T) {
	var source string
	for _, name := range []string{"fetch.go", "../internal/jose/key.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source += string(text)
	}
	table := section(t, "| Text | What to check |", "\n\n")
	rows := regexp.MustCompile("(?m)^\\| `([^`]*)`").FindAllStringSubmatch(table, -1)
	if len(rows) != 6 {
		t.Errorf("%d errors, want 6", len(rows))
	}
	for _, row := range rows {
		if !strings.Contains(source, row[1]) {
			t.Errorf("no such error: %s", row[1])
		}
	}
}

// docs/outages.md quotes every log line word for word, so that operators can
// alert on it.
func TestEveryLogLineIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/outages.md")
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	now := newClock()
	var log testkit.Log
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now), jwks.WithLogger(log.Logger()))
	for _, text := range []string{`{}`, testkit.SetOf(keyA()), `{"keys":[]}`, `{"keys":[]}`,
		`{"keys":[]}`,
		`{"keys":[]}`, testkit.Set(keyB().JWK(), `{}`)} {
		l.does(body(text))
		now.Advance(6 * time.Minute)
		settle(c)
	}
	messages := messages(&log)
	if len(messages) != 6 {
		t.Errorf("%d messages: %q", len(messages), messages)
	}
	for _, message := range messages {
		if !strings.Contains(string(page), "`"+message+"`") {
			t.Errorf("not documented: %s", message)
		}
	}
	for _, line := range log.With("") {
		if line["environment"] != "lab" {
			t.Errorf("a line without the environment: %+v", line)
		}
	}
}
