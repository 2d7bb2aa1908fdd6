package paraotel_test

import (
	"context"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/observe/paraotel"
	"github.com/parajwt/parajwt/paratest"
)

func observer(tb testing.TB) (func(context.Context, middleware.Event), *sdkmetric.ManualReader) {
	tb.Helper()
	meter, reader := newMeter(tb)
	observe, err := paraotel.Observe(meter)
	if err != nil {
		tb.Fatal(err)
	}
	return observe, reader
}

// BenchmarkObserve measures one event with OpenTelemetry's SDK.
func BenchmarkObserve(b *testing.B) {
	events := map[string]middleware.Event{
		"accepted": {Cached: true, Environment: "beta"},
		"refused": {Code: middleware.ErrExpired, Check: middleware.CheckTime,
			Environment: "beta"},
	}
	for name, event := range events {
		b.Run(name, func(b *testing.B) {
			observe, _ := observer(b)
			b.ReportAllocs()
			for b.Loop() {
				observe(b.Context(), event)
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			observe, _ := observer(b)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					observe(b.Context(), event)
				}
			})
		})
	}
}

// BenchmarkValidate measures a repeated token without and with Observe.
func BenchmarkValidate(b *testing.B) {
	observe, _ := observer(b)
	for name, f := range map[string]func(context.Context, middleware.Event){
		"nil": nil, "observed": observe,
	} {
		b.Run(name, func(b *testing.B) {
			para := paratest.New(b, paratest.Config{})
			v := para.Validator(b, func(cfg *middleware.Config) { cfg.Observe = f })
			token := para.Token(paratest.EmailUser())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Validate(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
