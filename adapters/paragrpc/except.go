package paragrpc

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"google.golang.org/grpc"

	"github.com/parajwt/parajwt/middleware"
)

// Except returns an interceptor that does not guard the given methods. It calls
// them without interceptor, so their context carries no user. Use it for
// services such as health and reflection. Give the full name of each method, in
// the form "/package.Service/Method". Generated code has constants for these
// names:
//
//	paragrpc.Except(paragrpc.UnaryServerInterceptor(validator),
//		healthpb.Health_Check_FullMethodName)
//
// No methods, a name in another form or a nil interceptor is a
// misconfiguration. Every call is then refused with Internal, and logged to
// [slog.Default].
func Except[I grpc.UnaryServerInterceptor | grpc.StreamServerInterceptor](
	interceptor I, methods ...string,
) I {
	open := make(map[string]bool, len(methods))
	wrong := len(methods) == 0
	for _, method := range methods {
		open[method] = true
		wrong = wrong || !isFullMethod(method)
	}
	switch next := any(interceptor).(type) {
	case grpc.UnaryServerInterceptor:
		wrong = wrong || next == nil
		return any(grpc.UnaryServerInterceptor(func(
			ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
		) (any, error) {
			switch {
			case wrong:
				return nil, misused(ctx)
			case open[info.FullMethod]:
				return handler(ctx, req)
			}
			return next(ctx, req, info, handler)
		})).(I)
	case grpc.StreamServerInterceptor:
		wrong = wrong || next == nil
		return any(grpc.StreamServerInterceptor(func(
			srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
		) error {
			switch {
			case wrong:
				return misused(ss.Context())
			case open[info.FullMethod]:
				return handler(srv, ss)
			}
			return next(srv, ss, info, handler)
		})).(I)
	}
	return interceptor // unreachable: I is one of the two
}

// isFullMethod reports whether s has the form /service/method, without a
// wildcard.
func isFullMethod(s string) bool {
	slash := strings.LastIndexByte(s, '/')
	return slash > 1 && s[0] == '/' && slash < len(s)-1 && !strings.ContainsAny(s, "* ")
}

var errExcept = errors.New(
	`Except needs an interceptor and methods in the form "/package.Service/Method"`)

func misused(ctx context.Context) error {
	err := &middleware.Error{Code: middleware.ErrMisconfigured, Cause: errExcept}
	slog.ErrorContext(ctx, "parajwt: request refused", "refusal", err)
	return Error(err)
}
