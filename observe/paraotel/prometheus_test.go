package paraotel_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/observe/paraotel"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/revocation"
)

// server is a program with all metrics, on loopback.
type server struct {
	url    string
	reader *sdkmetric.ManualReader // reads the same metrics by their OpenTelemetry names
}

func newServer(t *testing.T) server {
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		t.Fatal(err)
	}
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter),
		sdkmetric.WithReader(reader))
	t.Cleanup(func() { provider.Shutdown(t.Context()) })
	meter := provider.Meter("github.com/parajwt/parajwt/observe/paraotel")

	observe, err := paraotel.Observe(meter)
	if err != nil {
		t.Fatal(err)
	}
	list, err := revocation.New(revocation.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { list.Close() })
	para := paratest.New(t, paratest.Config{})
	v := para.Validator(t, func(cfg *middleware.Config) {
		cfg.Observe, cfg.Revoked = observe, list.Revoked
	})
	if _, err := paraotel.WatchKeys(meter, v.Status); err != nil {
		t.Fatal(err)
	}
	if _, err := paraotel.WatchRevocations(meter, list.Status); err != nil {
		t.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("GET /me", parahttp.Require(v)(http.NotFoundHandler()))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)

	good := para.Token(paratest.EmailUser())
	if err := list.RevokeUser(t.Context(), "somebody else"); err != nil {
		t.Fatal(err)
	}
	expired := para.Token(paratest.EmailUser(), paratest.Expired())
	for _, token := range []string{good, good, expired} {
		r, err := http.NewRequest(http.MethodGet, s.URL+"/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	return server{s.URL, reader}
}

// The Accept headers of Prometheus 2 and 3, less OpenMetrics, which package
// expfmt does not parse.
var scrapers = map[string]string{
	"Prometheus 2": "text/plain;version=0.0.4",
	"Prometheus 3": "text/plain;version=1.0.0;escaping=allow-utf-8," +
		"text/plain;version=0.0.4;q=0.5",
}

// scrape returns the metrics of parajwt that a GET of /metrics returns.
func (s server) scrape(t *testing.T, accept string) map[string]*dto.MetricFamily {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", answer.Status, err)
	}
	maps.DeleteFunc(families, func(name string, _ *dto.MetricFamily) bool {
		return !strings.HasPrefix(name, "parajwt")
	})
	return families
}

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/observe.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documented is a row of the page's table of metrics.
type documented struct{ otel, unit, prometheus, kind string }

func documentedMetrics(t *testing.T) []documented {
	t.Helper()
	row := regexp.MustCompile(
		"(?m)^\\| `(parajwt[^`]*)` \\| `([^`]*)` \\| `([^`]*)` \\| (\\w+) \\|")
	var rows []documented
	for _, m := range row.FindAllStringSubmatch(page(t), -1) {
		rows = append(rows, documented{m[1], m[2], m[3], m[4]})
	}
	if len(rows) == 0 {
		t.Fatal("the page has no table of metrics")
	}
	return rows
}

// The page lists each metric that a scrape returns, and no other, by the name
// and the type that Prometheus sees.
func TestPageListsTheScrapedMetrics(t *testing.T) {
	s := newServer(t)
	for scraper, accept := range scrapers {
		t.Run(scraper, func(t *testing.T) {
			want := make(map[string]string)
			for _, row := range documentedMetrics(t) {
				want[row.prometheus] = row.kind
			}
			got := make(map[string]string)
			for name, family := range s.scrape(t, accept) {
				got[name] = strings.ToLower(family.GetType().String())
				if family.GetHelp() == "" {
					t.Errorf("%s has no help text", name)
				}
			}
			if !maps.Equal(got, want) {
				t.Errorf("/metrics has\n\t%v\nthe page has\n\t%v", got, want)
			}
		})
	}
}

// The page lists each metric by its OpenTelemetry name and unit, and no other.
func TestPageListsTheCollectedMetrics(t *testing.T) {
	want := make(map[string]string)
	for _, row := range documentedMetrics(t) {
		want[row.otel] = row.unit
	}
	var rm metricdata.ResourceMetrics
	if err := newServer(t).reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			got[m.Name] = m.Unit
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("collected are\n\t%v\nthe page has\n\t%v", got, want)
	}
}

// The page lists each label, except those that the exporter adds to everything.
func TestPageListsTheLabels(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| `parajwt[^`]*` \\| `(parajwt_[^`]*)` \\| `parajwt")
	want := make(map[string]bool)
	for _, m := range row.FindAllStringSubmatch(page(t), -1) {
		want[m[1]] = true
	}
	got := labelsOf(newServer(t).scrape(t, scrapers["Prometheus 2"]))
	maps.DeleteFunc(got, func(name string, _ bool) bool {
		return strings.HasPrefix(name, "otel_")
	})
	if !maps.Equal(got, want) {
		t.Errorf("/metrics has %v, the page has %v", got, want)
	}
}

func labelsOf(families map[string]*dto.MetricFamily) map[string]bool {
	labels := make(map[string]bool)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = true
			}
		}
	}
	return labels
}

// An alert rule with a mistyped metric or label never fires and causes no
// error.
func TestAlertRulesUseScrapedNamesOnly(t *testing.T) {
	families := newServer(t).scrape(t, scrapers["Prometheus 2"])
	rules := regexp.MustCompile(`(?m)^ +expr: (.+)$`).FindAllStringSubmatch(page(t), -1)
	if len(rules) < 10 {
		t.Fatalf("the page has %d rules", len(rules))
	}
	for _, rule := range rules {
		if unknown := unknownNames(rule[1], families); len(unknown) > 0 {
			t.Errorf("%s\nuses %v, which no scrape has", rule[1], unknown)
		}
	}
}

func TestUnknownNamesAreNoticed(t *testing.T) {
	families := newServer(t).scrape(t, scrapers["Prometheus 2"])
	for expr, want := range map[string]string{
		`parajwt_keys_usable == 0`:                                   "",
		`parajwt_keys_usible == 0`:                                   "parajwt_keys_usible",
		`parajwt_keys_age > 1`:                                       "parajwt_keys_age",
		`parajwt_verdicts_total{parajwt_code="x"}`:                   "",
		`parajwt_verdicts_total{code="x"}`:                           "code",
		`parajwt_keys_usable{parajwt_code="x"}`:                      "parajwt_code",
		`sum by (parajwt_cached) (rate(parajwt_verdicts_total[2h]))`: "",
		`sum by (cached) (rate(parajwt_verdicts_total[2h]))`:         "cached",
		`sum by (parajwt_cached) (parajwt_keys_usable)`:              "parajwt_cached",
		`summ(parajwt_keys_usable)`:                                  "summ",
	} {
		if got := strings.Join(unknownNames(expr, families), " "); got != want {
			t.Errorf("%s: unknown are %q, want %q", expr, got, want)
		}
	}
}

// promQL are the words of PromQL that the rules use. Prometheus adds the label
// instance to what it scrapes.
var promQL = []string{"abs", "absent", "and", "by", "increase", "rate", "sum", "instance"}

var (
	quoted   = regexp.MustCompile(`"[^"]*"`)
	duration = regexp.MustCompile(`\[\w+\]`)
	name     = regexp.MustCompile(`[A-Za-z_]\w*`)
)

// unknownNames returns the names in a PromQL expression that are neither words
// of PromQL, nor scraped metrics, nor labels of the metrics in the expression.
func unknownNames(expr string, families map[string]*dto.MetricFamily) []string {
	names := name.FindAllString(
		duration.ReplaceAllString(quoted.ReplaceAllString(expr, ""), ""), -1)
	used := make(map[string]*dto.MetricFamily)
	for _, n := range names {
		if family := families[n]; family != nil {
			used[n] = family
		}
	}
	labels := labelsOf(used)
	return slices.DeleteFunc(names, func(n string) bool {
		return used[n] != nil || labels[n] || slices.Contains(promQL, n)
	})
}
