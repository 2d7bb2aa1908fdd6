// Package paragrpc guards gRPC services. Behind [UnaryServerInterceptor] and
// [StreamServerInterceptor], the context of each call carries a verified Para
// user. A method gets the user with claims.FromContext(ctx) or, in a stream,
// with claims.FromContext(stream.Context()).
//
// The client sends the token as over HTTP, in the metadata "authorization". It
// must have exactly one value: "Bearer", a space and the token (RFC 6750 §2.1).
//
// A [middleware.TokenSource] gets a request whose header fields are the
// metadata and whose URL path is the full name of the method. A
// [middleware.Rule] gets the full name of the method from [grpc.Method].
// OnRefusal does not apply, because a refusal is a gRPC status; see [Error].
// All other options, logging, Observe and revocation work as over HTTP.
//
// The interceptors are safe for concurrent use by multiple goroutines.
package paragrpc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/parajwt/parajwt/middleware"
)

// UnaryServerInterceptor returns an interceptor that passes unary calls with a
// verified Para user. It refuses every other call with the status that [Error]
// describes. It does not guard streams, so use it together with
// [StreamServerInterceptor].
func UnaryServerInterceptor(
	v *middleware.Validator, opts ...middleware.Option,
) grpc.UnaryServerInterceptor {
	return unary(middleware.Require(v, opts...))
}

// StreamServerInterceptor is [UnaryServerInterceptor] for streams. It verifies
// the token once, when the stream starts. In a long stream, call
// [middleware.Validator.Recheck] about once a minute, because the token may
// expire or be revoked.
func StreamServerInterceptor(
	v *middleware.Validator, opts ...middleware.Option,
) grpc.StreamServerInterceptor {
	return stream(middleware.Require(v, opts...))
}

// OptionalUnaryServerInterceptor returns an interceptor that also passes unary
// calls without a token, as anonymous. claims.FromContext returns false for
// them, and the method must check that. The interceptor refuses calls with an
// invalid token; see [middleware.ExpiredIsAnonymous].
func OptionalUnaryServerInterceptor(
	v *middleware.Validator, opts ...middleware.Option,
) grpc.UnaryServerInterceptor {
	return unary(middleware.Optional(v, opts...))
}

// OptionalStreamServerInterceptor is [OptionalUnaryServerInterceptor] for
// streams.
func OptionalStreamServerInterceptor(
	v *middleware.Validator, opts ...middleware.Option,
) grpc.StreamServerInterceptor {
	return stream(middleware.Optional(v, opts...))
}

func unary(g *middleware.Guard) grpc.UnaryServerInterceptor {
	return func(
		ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
	) (any, error) {
		ctx, err := check(ctx, g, info.FullMethod)
		if err != nil {
			return nil, err
		}
		return handler(ctx, req)
	}
}

func stream(g *middleware.Guard) grpc.StreamServerInterceptor {
	return func(
		srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
	) error {
		ctx, err := check(ss.Context(), g, info.FullMethod)
		if err != nil {
			return err
		}
		return handler(srv, &serverStream{ss, ctx})
	}
}

// serverStream is a stream whose context carries the user.
type serverStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *serverStream) Context() context.Context { return s.ctx }

// check calls the guard with the metadata as header fields. It returns the
// context to pass on.
func check(ctx context.Context, g *middleware.Guard, method string) (context.Context, error) {
	md, _ := metadata.FromIncomingContext(ctx) // returns a copy
	r := &http.Request{
		Method: http.MethodPost, Proto: "HTTP/2.0", ProtoMajor: 2,
		URL: &url.URL{Path: method}, Header: make(http.Header, len(md)), Body: http.NoBody,
	}
	for name, values := range md {
		if !strings.HasPrefix(name, ":") { // not a pseudo-header field (RFC 9113 §8.3)
			r.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	verified, refusal := g.Check(r.WithContext(ctx))
	if refusal != nil {
		return nil, Error(refusal)
	}
	return verified.Context(), nil
}

// Error returns the gRPC error for an error of [middleware.Validator.Recheck]
// or of a guard. It returns nil for nil. Use it to end a stream:
//
//	if err := validator.Recheck(ctx, user); err != nil {
//		return paragrpc.Error(err)
//	}
//
// The codes are:
//
//   - Unauthenticated if the token is missing or invalid (401 over HTTP)
//   - PermissionDenied if a rule refused the user (403)
//   - Unavailable with [errdetails.RetryInfo] if the decision could not be
//     made (503)
//   - Internal if the guard is misconfigured (500), or if err is not a
//     [*middleware.Error]
//
// The message describes the problem only if Para signed the token, so a forger
// learns nothing. It never contains the cause. In the server, errors.As finds
// the [*middleware.Error] in the result.
func Error(err error) error {
	refusal := &middleware.Error{Code: middleware.ErrMisconfigured, Cause: err}
	if errors.As(err, &refusal); err == nil || refusal == nil { // a nil *middleware.Error
		return nil
	}
	var s *status.Status
	switch refusal.Status() {
	case http.StatusUnauthorized:
		message := "no valid token"
		if refusal.Signed {
			message = strings.TrimPrefix(refusal.Code.Error(), "parajwt: ")
		}
		s = status.New(codes.Unauthenticated, message)
	case http.StatusForbidden:
		s = status.New(codes.PermissionDenied, "not allowed")
	case http.StatusServiceUnavailable:
		s = status.New(codes.Unavailable, "try again later")
		wait := durationpb.New(max(refusal.RetryAfter, time.Second))
		if detailed, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: wait}); err == nil {
			s = detailed
		}
	default:
		s = status.New(codes.Internal, "internal error")
	}
	return &statusError{s, refusal.Public()}
}

// statusError is a gRPC status. Outer interceptors find the [*middleware.Error]
// in it.
type statusError struct {
	status *status.Status
	public error
}

func (e *statusError) Error() string              { return e.status.Err().Error() }
func (e *statusError) GRPCStatus() *status.Status { return e.status }
func (e *statusError) Unwrap() error              { return e.public }
