package paragrpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/parajwt/parajwt/adapters/paragrpc"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // a guard without a validator uses it
	os.Exit(m.Run())
}

// service returns the user of each call, in a unary method and in a stream.
type service struct {
	pb.UnimplementedTestServiceServer
	calls atomic.Int64
}

func (s *service) name(ctx context.Context) string {
	s.calls.Add(1)
	user, ok := claims.FromContext(ctx)
	if !ok {
		return "anonymous"
	}
	name := user.UserID + " " + string(user.AuthType)
	user.UserID, user.AuthType = "changed", "changed" // the user belongs to this call
	return name
}

func (s *service) UnaryCall(
	ctx context.Context, _ *pb.SimpleRequest,
) (*pb.SimpleResponse, error) {
	return &pb.SimpleResponse{Username: s.name(ctx)}, nil
}

func (s *service) FullDuplexCall(
	stream grpc.BidiStreamingServer[
		pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse],
) error {
	name := s.name(stream.Context())
	if _, err := stream.Recv(); err != nil {
		return err
	}
	return stream.Send(&pb.StreamingOutputCallResponse{
		Payload: &pb.Payload{Body: []byte(name)},
	})
}

// server is a gRPC server on loopback with a client.
type server struct {
	service
	conn *grpc.ClientConn
}

func serve(t *testing.T, opts ...grpc.ServerOption) *server {
	t.Helper()
	s := new(server)
	g := grpc.NewServer(opts...)
	pb.RegisterTestServiceServer(g, &s.service)
	healthpb.RegisterHealthServer(g, health.NewServer())
	reflection.Register(g)
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- g.Serve(listener) }()
	s.conn, err = grpc.NewClient(listener.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.conn.Close()
		g.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func require(v *middleware.Validator, opts ...middleware.Option) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(paragrpc.UnaryServerInterceptor(v, opts...)),
		grpc.StreamInterceptor(paragrpc.StreamServerInterceptor(v, opts...)),
	}
}

func optional(v *middleware.Validator, opts ...middleware.Option) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(paragrpc.OptionalUnaryServerInterceptor(v, opts...)),
		grpc.StreamInterceptor(paragrpc.OptionalStreamServerInterceptor(v, opts...)),
	}
}

// unary and stream call a method with metadata, as pairs of names and values.
func (s *server) unary(ctx context.Context, pairs ...string) (string, error) {
	ctx = metadata.AppendToOutgoingContext(ctx, pairs...)
	answer, err := pb.NewTestServiceClient(s.conn).UnaryCall(ctx, new(pb.SimpleRequest))
	return answer.GetUsername(), err
}

func (s *server) stream(ctx context.Context, pairs ...string) (string, error) {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx, pairs...))
	defer cancel()
	stream, err := pb.NewTestServiceClient(s.conn).FullDuplexCall(ctx)
	if err != nil {
		return "", err
	}
	err = stream.Send(new(pb.StreamingOutputCallRequest))
	if err != nil && err != io.EOF { // io.EOF: Recv has the status
		return "", err
	}
	answer, err := stream.Recv()
	return string(answer.GetPayload().GetBody()), err
}

// passes makes both kinds of call. It fails the test unless both reach the
// method with this user.
func (s *server) passes(t *testing.T, want string, pairs ...string) {
	t.Helper()
	before := s.calls.Load()
	for kind, call := range s.kinds() {
		if got, err := call(t.Context(), pairs...); got != want || err != nil {
			t.Errorf("%s %.200q: got %q, %v; want %q", kind, pairs, got, err, want)
		}
	}
	if n := s.calls.Load() - before; n != 2 {
		t.Errorf("%.200q: %d calls of the methods, want 2", pairs, n)
	}
}

// refuses makes both kinds of call. It fails the test unless both return this
// status without calling the method.
func (s *server) refuses(t *testing.T, code codes.Code, message string, pairs ...string) {
	t.Helper()
	before := s.calls.Load()
	for kind, call := range s.kinds() {
		got, err := call(t.Context(), pairs...)
		st := status.Convert(err)
		if got != "" || st.Code() != code || st.Message() != message {
			t.Errorf("%s %.200q: got %q, %v; want %v %q", kind, pairs, got, err, code, message)
		}
		if details := st.Details(); (code == codes.Unavailable) != (len(details) == 1) {
			t.Errorf("%s %.200q: details %v", kind, pairs, details)
		}
	}
	if s.calls.Load() != before {
		t.Errorf("%.200q: a method was called", pairs)
	}
}

func (s *server) kinds() map[string]func(context.Context, ...string) (string, error) {
	return map[string]func(context.Context, ...string) (string, error){
		"unary": s.unary, "stream": s.stream,
	}
}

const (
	unsigned  = "no valid token"
	emailUser = paratest.UserID + " email"
)

func bearer(token string) []string { return []string{"authorization", "Bearer " + token} }

func quiet(cfg *middleware.Config) { cfg.Logger = slog.New(slog.DiscardHandler) }

func setUp(t *testing.T) (*paratest.Para, *middleware.Validator) {
	t.Helper()
	para := paratest.New(t, paratest.Config{})
	return para, para.Validator(t, quiet)
}

// Each call has a copy of the user: the method above changes it.
func TestUser(t *testing.T) {
	para, v := setUp(t)
	token := para.Token(paratest.EmailUser())
	open, required, optional := serve(t), serve(t, require(v)...), serve(t, optional(v)...)
	for range 3 {
		open.passes(t, "anonymous", bearer(token)...)
		required.passes(t, emailUser, bearer(token)...)
		optional.passes(t, emailUser, bearer(token)...)
		optional.passes(t, "anonymous")
		required.refuses(t, codes.Unauthenticated, unsigned)
		optional.refuses(t, codes.Unauthenticated, unsigned, bearer("junk")...)
	}
}

// All tokens that Para did not sign are refused with the same status.
func TestRefusals(t *testing.T) {
	para, v := setUp(t)
	user := paratest.EmailUser()
	s := serve(t, require(v)...)
	for _, test := range []struct {
		name, message string
		opts          []paratest.TokenOption
	}{
		{"bad signature", unsigned, []paratest.TokenOption{paratest.BadSignature()}},
		{"unknown key", unsigned, []paratest.TokenOption{paratest.UnknownKey("x")}},
		{"environment", unsigned, []paratest.TokenOption{paratest.OtherEnvironment()}},
		{"algorithm", unsigned, []paratest.TokenOption{paratest.WithHeader("alg", "none")}},
		{"expired and forged", unsigned,
			[]paratest.TokenOption{paratest.Expired(), paratest.BadSignature()}},
		{"expired", "token expired", []paratest.TokenOption{paratest.Expired()}},
		{"too early", "token not yet valid",
			[]paratest.TokenOption{paratest.Lived(time.Hour, time.Hour)}},
		{"another app", "token is for another app",
			[]paratest.TokenOption{paratest.ForApp("x")}},
		{"claims", "unacceptable claims", []paratest.TokenOption{paratest.With("sub", 1)}},
		{"payload", "malformed token", []paratest.TokenOption{paratest.With("SUB", 1)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.passes(t, emailUser, bearer(para.Token(user))...)
			s.refuses(t, codes.Unauthenticated, test.message,
				bearer(para.Token(user, test.opts...))...)
		})
	}
}

// "authorization" has exactly one value: Bearer, spaces and the token.
func TestAuthorizationMetadata(t *testing.T) {
	para, v := setUp(t)
	token := para.Token(paratest.EmailUser())
	required, optional := serve(t, require(v)...), serve(t, optional(v)...)
	for _, pairs := range [][]string{
		{"authorization", "Bearer " + token},
		{"Authorization", "bearer   " + token}, // gRPC sends names in lower case
		{"authorization", "BEARER " + token, "proxy-authorization", "Bearer x"},
	} {
		required.passes(t, emailUser, pairs...)
		optional.passes(t, emailUser, pairs...)
	}
	for _, pairs := range [][]string{
		{"authorization", ""},
		{"authorization", "Bearer"},
		{"authorization", "Bearer "},
		{"authorization", token},
		{"authorization", "Bearer" + token},
		{"authorization", "Basic " + token},
		{"authorization", "Bearer " + token + " x"},
		{"authorization", "Bearer " + token + ", Bearer " + token},
		{"authorization", "Bearer " + token, "authorization", "Bearer " + token},
		{"authorization", "Bearer " + token, "authorization", ""},
		{"authorization", "", "authorization", "Bearer " + token},
		{"authorization", "Basic eA==", "authorization", "Bearer " + token},
	} {
		required.refuses(t, codes.Unauthenticated, unsigned, pairs...)
		optional.refuses(t, codes.Unauthenticated, unsigned, pairs...)
	}
	for _, pairs := range [][]string{
		nil,
		{"proxy-authorization", "Bearer " + token},
		{"x-authorization", "Bearer " + token},
		{"authorization-bin", "Bearer " + token},
		{"cookie", "authorization=" + token},
	} {
		required.refuses(t, codes.Unauthenticated, unsigned, pairs...)
		optional.passes(t, "anonymous", pairs...)
	}
}

// A token source gets the metadata as header fields, and the method as the
// path.
func TestTokenSources(t *testing.T) {
	para, v := setUp(t)
	token := para.Token(paratest.EmailUser())
	s := serve(t, require(v, middleware.TokenFrom(
		middleware.FromHeader("X-Para-Token"), middleware.FromCookie("para")))...)
	s.passes(t, emailUser, "x-para-token", token)
	s.passes(t, emailUser, "cookie", "a=b; para="+token)
	s.refuses(t, codes.Unauthenticated, unsigned, "x-para-token", token, "x-para-token", token)
	s.refuses(t, codes.Unauthenticated, unsigned, "cookie", "a=b; para="+token+"; para=")
	s.refuses(t, codes.Unauthenticated, unsigned, bearer(token)...)

	var paths []string
	custom := serve(t, require(v, middleware.TokenFrom(func(r *http.Request) (string, error) {
		paths = append(paths, r.URL.Path)
		if r.FormValue("token") != "" || r.Header.Get(":authority") != "" || r.Method != "POST" {
			t.Errorf("the source got %s %v %v", r.Method, r.URL, r.Header)
		}
		return r.Header.Get("X-Token"), nil
	}))...)
	if _, err := custom.unary(t.Context(), "x-token", token); err != nil {
		t.Error(err)
	}
	if _, err := custom.stream(t.Context(), "x-token", token); err != nil {
		t.Error(err)
	}
	want := pb.TestService_UnaryCall_FullMethodName + " " +
		pb.TestService_FullDuplexCall_FullMethodName
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("the paths are %s, want %s", got, want)
	}
}

func TestRules(t *testing.T) {
	para, v := setUp(t)
	email, phone := para.Token(paratest.EmailUser()), para.Token(paratest.PhoneUser())
	s := serve(t, require(v, middleware.Allow(middleware.AuthTypes(claims.AuthEmail)))...)
	s.passes(t, emailUser, bearer(email)...)
	s.refuses(t, codes.PermissionDenied, "not allowed", bearer(phone)...)
	s.refuses(t, codes.Unauthenticated, unsigned)

	down := serve(t, require(v, middleware.Allow(
		func(context.Context, *claims.Claims) error {
			return fmt.Errorf("canary: %w", middleware.ErrRuleUnavailable)
		}))...)
	down.refuses(t, codes.Unavailable, "try again later", bearer(email)...)

	// A rule may depend on the method.
	streamsOnly := serve(t, require(v, middleware.Allow(
		func(ctx context.Context, _ *claims.Claims) error {
			method, _ := grpc.Method(ctx)
			if method != pb.TestService_FullDuplexCall_FullMethodName {
				return fmt.Errorf("%s is not allowed", method)
			}
			return nil
		}))...)
	if _, err := streamsOnly.unary(t.Context(), bearer(email)...); status.Code(err) !=
		codes.PermissionDenied {
		t.Errorf("unary: %v", err)
	}
	if name, err := streamsOnly.stream(t.Context(), bearer(email)...); name != emailUser {
		t.Errorf("stream: %q, %v", name, err)
	}
}

// Unavailable has RetryInfo, with the time of Retry-After over HTTP.
func TestUnavailable(t *testing.T) {
	para, _ := setUp(t)
	token := para.Token(paratest.EmailUser())
	down := para.Validator(t, quiet, func(cfg *middleware.Config) {
		cfg.Environment = jwks.Environment{Name: "down", URL: "http://127.0.0.1:1/keys"}
	})
	unknown := para.Validator(t, quiet, func(cfg *middleware.Config) {
		cfg.Revoked = func(context.Context, *claims.Claims, time.Time) (bool, error) {
			return false, errors.New("canary")
		}
	})
	for name, v := range map[string]*middleware.Validator{"keys": down, "revocation": unknown} {
		s := serve(t, require(v)...)
		s.refuses(t, codes.Unavailable, "try again later", bearer(token)...)
		s.refuses(t, codes.Unauthenticated, unsigned)
		_, err := s.unary(t.Context(), bearer(token)...)
		info, ok := status.Convert(err).Details()[0].(*errdetails.RetryInfo)
		if wait := info.GetRetryDelay().AsDuration(); !ok || wait < time.Second ||
			wait > time.Minute {
			t.Errorf("%s: RetryInfo is %v", name, info)
		}
	}
}

// Revocation, Observe and the log work as over HTTP. OnRefusal does not apply.
func TestSettings(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	var revoked atomic.Bool
	var events []middleware.Event
	var log bytes.Buffer
	onRefusal := func(http.ResponseWriter, *http.Request, *middleware.Error) {
		t.Error("OnRefusal was called")
	}
	v := para.Validator(t, func(cfg *middleware.Config) {
		cfg.Revoked = func(context.Context, *claims.Claims, time.Time) (bool, error) {
			return revoked.Load(), nil
		}
		cfg.Observe = func(_ context.Context, e middleware.Event) { events = append(events, e) }
		cfg.Logger = slog.New(slog.NewJSONHandler(&log,
			&slog.HandlerOptions{Level: slog.LevelDebug}))
		cfg.OnRefusal = onRefusal
	})
	token := para.Token(paratest.EmailUser())
	s := serve(t, require(v, middleware.OnRefusal(onRefusal))...)
	s.passes(t, emailUser, bearer(token)...)
	revoked.Store(true)
	s.refuses(t, codes.Unauthenticated, "token revoked", bearer(token)...)

	const name = "paratest"
	refused := middleware.Event{Code: middleware.ErrRevoked, Check: middleware.CheckRevocation,
		Cached: true, Environment: name}
	want := []middleware.Event{
		{Environment: name}, {Cached: true, Environment: name}, refused, refused,
	}
	if fmt.Sprint(events) != fmt.Sprint(want) {
		t.Errorf("observed %v, want %v", events, want)
	}
	if n := strings.Count(log.String(), `"code":"revoked"`); n != 2 {
		t.Errorf("%d refusals in the log:\n%s", n, &log)
	}
	if strings.Contains(log.String(), token[len(token)-16:]) {
		t.Error("the log contains the token")
	}
}

func TestExpiredIsAnonymous(t *testing.T) {
	para, v := setUp(t)
	expired := para.Token(paratest.EmailUser(), paratest.Expired())
	s := serve(t, optional(v, middleware.ExpiredIsAnonymous())...)
	s.passes(t, "anonymous", bearer(expired)...)
	serve(t, optional(v)...).refuses(t, codes.Unauthenticated, "token expired", bearer(expired)...)
}

func TestMisconfiguredGuardsFailClosed(t *testing.T) {
	para, v := setUp(t)
	token := bearer(para.Token(paratest.EmailUser()))
	for name, opts := range map[string][]grpc.ServerOption{
		"no validator":         require(nil),
		"no validator, public": optional(nil),
		"zero validator":       require(new(middleware.Validator)),
		"nil option":           require(v, nil),
		"no rules":             require(v, middleware.Allow()),
		"nil rule":             optional(v, middleware.Allow(nil)),
		"Any without rules":    require(v, middleware.Allow(middleware.Any())),
		"no source":            require(v, middleware.TokenFrom()),
		"ExpiredIsAnonymous":   require(v, middleware.ExpiredIsAnonymous()),
		"Except, no methods":   except(v),
		"Except, a service":    except(v, "/grpc.health.v1.Health"),
		"Except, a wildcard":   except(v, "/grpc.health.v1.Health/*"),
		"Except, no slash":     except(v, "grpc.health.v1.Health/Check"),
		"Except, no name":      except(v, "/grpc.health.v1.Health/"),
		"Except, no service":   except(v, "//Check"),
		"Except, one of two":   except(v, healthpb.Health_Check_FullMethodName, ""),
		"Except, a pattern":    except(v, "GET /health"),
		"Except, no guard": {
			grpc.UnaryInterceptor(paragrpc.Except(
				grpc.UnaryServerInterceptor(nil), pb.TestService_UnaryCall_FullMethodName)),
			grpc.StreamInterceptor(paragrpc.Except(
				grpc.StreamServerInterceptor(nil), pb.TestService_FullDuplexCall_FullMethodName)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, opts...)
			s.refuses(t, codes.Internal, "internal error", token...)
			if name != "Any without rules" {
				s.refuses(t, codes.Internal, "internal error")
			}
		})
	}
	serve(t, except(v, healthpb.Health_Check_FullMethodName)...).passes(t, emailUser, token...)
}

func except(v *middleware.Validator, methods ...string) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(paragrpc.Except(paragrpc.UnaryServerInterceptor(v), methods...)),
		grpc.StreamInterceptor(paragrpc.Except(paragrpc.StreamServerInterceptor(v), methods...)),
	}
}

// Except does not guard the methods that it names, and guards every other
// method of their services.
func TestExcept(t *testing.T) {
	para, v := setUp(t)
	token := para.Token(paratest.EmailUser())
	s := serve(t, except(v, healthpb.Health_Check_FullMethodName,
		reflectionpb.ServerReflection_ServerReflectionInfo_FullMethodName)...)
	s.passes(t, emailUser, bearer(token)...)
	s.refuses(t, codes.Unauthenticated, unsigned)

	client := healthpb.NewHealthClient(s.conn)
	if _, err := client.Check(t.Context(), new(healthpb.HealthCheckRequest)); err != nil {
		t.Errorf("Check: %v", err)
	}
	if _, err := client.List(t.Context(), new(healthpb.HealthListRequest)); status.Code(err) !=
		codes.Unauthenticated {
		t.Errorf("List: %v", err)
	}
	watch, err := client.Watch(t.Context(), new(healthpb.HealthCheckRequest))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("Watch: %v", err)
	}
	info, err := reflectionpb.NewServerReflectionClient(s.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := info.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
	}); err != nil {
		t.Fatal(err)
	}
	if answer, err := info.Recv(); err != nil ||
		len(answer.GetListServicesResponse().Service) == 0 {
		t.Errorf("reflection: %v, %v", answer, err)
	}

	// A bad token in a call of an open method gives the call no user.
	open := serve(t, except(v, pb.TestService_UnaryCall_FullMethodName,
		pb.TestService_FullDuplexCall_FullMethodName)...)
	open.passes(t, "anonymous", bearer(token)...)
	open.passes(t, "anonymous", bearer("junk")...)
}

// Chained guards decide independently. The user of the innermost guard counts.
func TestChain(t *testing.T) {
	para, v := setUp(t)
	email, phone := para.Token(paratest.EmailUser()), para.Token(paratest.PhoneUser())
	header := middleware.TokenFrom(middleware.FromHeader("X-Token"))
	s := serve(t,
		grpc.ChainUnaryInterceptor(paragrpc.UnaryServerInterceptor(v),
			paragrpc.OptionalUnaryServerInterceptor(v, header)),
		grpc.ChainStreamInterceptor(paragrpc.StreamServerInterceptor(v),
			paragrpc.OptionalStreamServerInterceptor(v, header)))
	s.passes(t, "anonymous", bearer(email)...)
	s.passes(t, paratest.UserID+" phone", append(bearer(email), "x-token", phone)...)
	s.refuses(t, codes.Unauthenticated, unsigned, "x-token", phone)
}

// Interceptors around the guard get the reason of a refusal. Clients do not.
func TestOuterInterceptor(t *testing.T) {
	para, v := setUp(t)
	var seen error
	s := serve(t, grpc.ChainUnaryInterceptor(func(
		ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
	) (any, error) {
		answer, err := handler(ctx, req)
		seen = err
		return answer, fmt.Errorf("wrapped: %w", err)
	}, paragrpc.UnaryServerInterceptor(v)))
	token := para.Token(paratest.EmailUser(), paratest.UnknownKey("canary"))
	_, err := s.unary(t.Context(), bearer(token)...)
	var refusal *middleware.Error
	if !errors.As(seen, &refusal) || refusal.KeyID != "canary" ||
		!errors.Is(seen, middleware.ErrUnknownKey) {
		t.Errorf("the outer interceptor got %v", seen)
	}
	if public := errors.Unwrap(seen); public.Error() != "Unauthorized" {
		t.Errorf("an interceptor may print %v", public)
	}
	for _, text := range []string{err.Error(), fmt.Sprintf("%v %+v %#v", seen, seen, seen)} {
		if strings.Contains(text, "canary") || strings.Contains(text, "unknown key") {
			t.Errorf("the error contains its cause: %s", text)
		}
	}
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("the client got %v", err)
	}
}

func TestError(t *testing.T) {
	if err := paragrpc.Error(nil); err != nil {
		t.Errorf("nil: %v", err)
	}
	var none *middleware.Error // a result of Guard.CheckToken
	if err := paragrpc.Error(none); err != nil {
		t.Errorf("a nil *middleware.Error: %v", err)
	}
	_, v := setUp(t)
	for _, test := range []struct {
		name string
		err  error
		want codes.Code
	}{
		{"another error", errors.New("canary"), codes.Internal},
		{"Recheck without a user", v.Recheck(t.Context(), nil), codes.Internal},
		{"wrapped", fmt.Errorf("canary: %w",
			&middleware.Error{Code: middleware.ErrExpired, Signed: true}), codes.Unauthenticated},
		{"Warm", &middleware.Error{Code: middleware.ErrKeysUnavailable}, codes.Unavailable},
	} {
		got := paragrpc.Error(test.err)
		if status.Code(got) != test.want || strings.Contains(got.Error(), "canary") {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
