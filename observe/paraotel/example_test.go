package paraotel_test

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/observe/paraotel"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/revocation"
)

const scope = "github.com/parajwt/parajwt/observe/paraotel"

// printMetrics prints some metrics of a /metrics endpoint. It omits the labels
// of the exporter and the label parajwt_environment.
func printMetrics(handler http.Handler, prefixes ...string) {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	omitted := regexp.MustCompile(`(otel_scope_\w+|parajwt_environment)="[^"]*",?`)
	for lines := bufio.NewScanner(w.Body); lines.Scan(); {
		for _, prefix := range prefixes {
			if strings.HasPrefix(lines.Text(), prefix) {
				line := omitted.ReplaceAllString(lines.Text(), "")
				fmt.Println(strings.NewReplacer(",}", "}", "{}", "").Replace(line))
			}
		}
	}
}

func ExampleObserve() {
	// A program calls prometheus.New() and promhttp.Handler().
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		log.Fatal(err)
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	defer provider.Shutdown(context.Background())

	observe, err := paraotel.Observe(provider.Meter(scope))
	if err != nil {
		log.Fatal(err)
	}

	// Start an emulator of Para. In a program, use jwks.Beta and the ID of your
	// API key.
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer para.Close()
	validator, err := middleware.New(middleware.Config{
		Environment: para.Environment(),
		APIKeyIDs:   []string{para.APIKeyID()},
		Observe:     observe,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()

	good := para.Token(paratest.EmailUser())
	expired := para.Token(paratest.EmailUser(), paratest.Expired())
	for _, token := range []string{good, good, good, expired} {
		validator.Validate(context.Background(), token)
	}
	printMetrics(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), "parajwt_verdicts")
	// Output:
	// parajwt_verdicts_total{parajwt_cached="false",parajwt_code="accepted"} 1
	// parajwt_verdicts_total{parajwt_cached="false",parajwt_code="expired"} 1
	// parajwt_verdicts_total{parajwt_cached="true",parajwt_code="accepted"} 2
}

// No metric has a user ID. If your traces may contain user IDs, a handler can
// set one on its span.
func ExampleObserve_userInTrace() {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	defer provider.Shutdown(context.Background())

	// Start an emulator of Para. In a program, use jwks.Beta and the ID of your
	// API key.
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer para.Close()
	validator, err := middleware.New(middleware.Config{
		Environment: para.Environment(),
		APIKeyIDs:   []string{para.APIKeyID()},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()

	me := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _ := claims.FromContext(r.Context())
		trace.SpanFromContext(r.Context()).SetAttributes(
			attribute.String("enduser.id", user.UserID))
	})
	guarded := parahttp.Require(validator)(me)

	r := httptest.NewRequest("GET", "/me", nil)
	r.Header.Set("Authorization", "Bearer "+para.Token(paratest.EmailUser()))
	ctx, span := provider.Tracer("app").Start(r.Context(), "GET /me") // in a program: otelhttp
	guarded.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
	span.End()

	for _, span := range spans.Ended() {
		fmt.Println(span.Name(), span.Attributes()[0].Key, span.Attributes()[0].Value.AsString())
	}
	// Output: GET /me enduser.id d5358219-38d3-4650-91a8-e338131d1c5e
}

func ExampleWatchKeys() {
	// A program calls prometheus.New() and promhttp.Handler().
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		log.Fatal(err)
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	defer provider.Shutdown(context.Background())

	// Start an emulator of Para. In a program, use jwks.Beta and the ID of your
	// API key.
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer para.Close()
	validator, err := middleware.New(middleware.Config{
		Environment: para.Environment(),
		APIKeyIDs:   []string{para.APIKeyID()},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()

	watch, err := paraotel.WatchKeys(provider.Meter(scope), validator.Status)
	if err != nil {
		log.Fatal(err)
	}
	defer watch.Unregister()
	if err := validator.Warm(context.Background()); err != nil {
		log.Fatal(err)
	}
	printMetrics(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
		"parajwt_keys_fetches", "parajwt_keys_state", "parajwt_keys_usable")
	// Output:
	// parajwt_keys_fetches_total 1
	// parajwt_keys_state{parajwt_keys_state="fresh"} 1
	// parajwt_keys_usable 1
}

func ExampleWatchRevocations() {
	// A program calls prometheus.New() and promhttp.Handler().
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		log.Fatal(err)
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	defer provider.Shutdown(context.Background())

	list, err := revocation.New(revocation.Config{}) // in a program: with a Store
	if err != nil {
		log.Fatal(err)
	}
	defer list.Close()
	watch, err := paraotel.WatchRevocations(provider.Meter(scope), list.Status)
	if err != nil {
		log.Fatal(err)
	}
	defer watch.Unregister()

	err = list.RevokeUser(context.Background(), "d5358219-38d3-4650-91a8-e338131d1c5e")
	if err != nil {
		log.Fatal(err)
	}
	printMetrics(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
		"parajwt_revocations_entries", "parajwt_revocations_staleness",
		"parajwt_revocations_usable")
	// Output:
	// parajwt_revocations_entries 1
	// parajwt_revocations_staleness_seconds 0
	// parajwt_revocations_usable 1
}
