package suite

import (
	"context"
	"log/slog"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/observe/paraotel"
)

// Observed measures [Suite.Repeat] with Config.Observe and OpenTelemetry's SDK.
// The difference of the two rows is the cost of Observe.
func (s *Suite) Observed() (Row, error) {
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	observe, err := paraotel.Observe(provider.Meter("benchmark"))
	if err != nil {
		return Row{}, err
	}
	v, err := middleware.New(middleware.Config{
		Environment: jwks.Environment{Name: "benchmark", URL: s.base + fixture.WellKnown},
		APIKeyIDs:   []string{fixture.APIKeyID},
		Observe:     observe,
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return Row{}, err
	}
	context.AfterFunc(s.ctx, func() { v.Close() })
	tokens := s.Tokens(fixture.RS256, "")
	for _, token := range tokens {
		if _, err := v.Validate(s.ctx, token); err != nil {
			return Row{}, err
		}
	}
	return Row{"repeat token, Observe with OpenTelemetry", func(i int) error {
		_, err := v.Validate(s.ctx, tokens[i])
		return err
	}}, nil
}
