package suite

import (
	"context"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/parajwt/parajwt/adapters/paraecho"
	"github.com/parajwt/parajwt/adapters/paraecho5"
	"github.com/parajwt/parajwt/adapters/paragin"
	"github.com/parajwt/parajwt/adapters/paragrpc"
	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
	"github.com/parajwt/parajwt/claims"
)

// Router is one router: the same route and handler, with and without the
// middleware.
type Router struct {
	Name          string
	Bare, Guarded Row
}

// Routers returns the routers and gRPC, for repeat tokens. The cost of a router
// above the validator is Guarded less Bare less [Suite.Repeat].
func (s *Suite) Routers() ([]Router, error) {
	v, err := s.Repeating()
	if err != nil {
		return nil, err
	}
	// Every handler looks up the user. A bare handler finds none.
	look := func(r *http.Request) { claims.FromContext(r.Context()) }

	overHTTP := func(wrap func(http.Handler) http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("GET /me",
			wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { look(r) })))
		return mux
	}
	overEcho := func(use ...echo.MiddlewareFunc) http.Handler {
		e := echo.New()
		e.Use(use...)
		e.GET("/me", func(c echo.Context) error { look(c.Request()); return nil })
		return e
	}
	overEcho5 := func(use ...echo5.MiddlewareFunc) http.Handler {
		e := echo5.New()
		e.Use(use...)
		e.GET("/me", func(c *echo5.Context) error { look(c.Request()); return nil })
		return e
	}
	gin.SetMode(gin.ReleaseMode)
	overGin := func(use ...gin.HandlerFunc) http.Handler {
		g := gin.New()
		g.Use(use...)
		g.GET("/me", func(c *gin.Context) { look(c.Request) })
		return g
	}
	return []Router{
		{"net/http",
			s.route("net/http, bare", overHTTP(func(h http.Handler) http.Handler { return h })),
			s.route("net/http", overHTTP(parahttp.Require(v)))},
		{"Gin", s.route("Gin, bare", overGin()), s.route("Gin", overGin(paragin.Require(v)))},
		{"Echo", s.route("Echo, bare", overEcho()), s.route("Echo", overEcho(paraecho.Require(v)))},
		{"Echo v5", s.route("Echo v5, bare", overEcho5()),
			s.route("Echo v5", overEcho5(paraecho5.Require(v)))},
		{"gRPC", s.unary("gRPC, bare", pass), s.unary("gRPC", paragrpc.UnaryServerInterceptor(v))},
	}, nil
}

// route sends requests with the live tokens through a router. It is not safe
// for concurrent use, because routers write to the requests.
func (s *Suite) route(name string, h http.Handler) Row {
	bearer := s.authorization()
	requests := make([]*http.Request, Live)
	for i := range requests {
		requests[i] = httptest.NewRequest(http.MethodGet, "/me", nil)
		requests[i].Header["Authorization"] = bearer[i]
	}
	w := &writer{header: make(http.Header)}
	return Row{name, func(i int) error {
		w.status = 0
		h.ServeHTTP(w, requests[i])
		if w.status >= 400 {
			return errStatus
		}
		return nil
	}}
}

// authorization returns the Authorization headers of the live tokens.
func (s *Suite) authorization() [][]string {
	if s.bearer == nil {
		for _, token := range s.Tokens(fixture.RS256, "") {
			s.bearer = append(s.bearer, []string{"Bearer " + token})
		}
	}
	return s.bearer
}

// pass is an interceptor that only calls the handler.
func pass(
	ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	return handler(ctx, req)
}

// unary sends calls with the live tokens through an interceptor, with the
// metadata that grpc-go's client sends. It uses no connection, which would cost
// more than the interceptor.
func (s *Suite) unary(name string, interceptor grpc.UnaryServerInterceptor) Row {
	calls := make([]context.Context, Live)
	for i, value := range s.authorization() {
		calls[i] = metadata.NewIncomingContext(context.Background(), metadata.MD{
			":authority":    {"localhost:8000"},
			"content-type":  {"application/grpc"},
			"user-agent":    {"grpc-go/1.84.0"},
			"authorization": value,
		})
	}
	info := &grpc.UnaryServerInfo{FullMethod: "/me.Me/Get"}
	handler := func(ctx context.Context, _ any) (any, error) {
		claims.FromContext(ctx)
		return nil, nil
	}
	return Row{name, func(i int) error {
		_, err := interceptor(calls[i], nil, info, handler)
		return err
	}}
}

const errStatus = statusError("refused")

type statusError string

func (e statusError) Error() string { return string(e) }

// writer is a ResponseWriter that discards the body. httptest.ResponseRecorder
// would cost more than the measured code.
type writer struct {
	header http.Header
	status int
}

func (w *writer) Header() http.Header         { return w.header }
func (w *writer) Write(p []byte) (int, error) { return len(p), nil }
func (w *writer) WriteHeader(status int)      { w.status = status }
