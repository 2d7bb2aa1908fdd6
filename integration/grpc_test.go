package integration_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/parajwt/parajwt/adapters/paragrpc"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/middleware"
)

// attackGRPC sends the attacks of a class through both interceptors, over a
// connection on loopback.
func attackGRPC(t *testing.T, f *forge, c class) {
	var log testkit.Log
	s := serveGRPC(t, f.validator(t, 0, &log))
	for _, attack := range c.attacks {
		want := "no valid token"
		// A token with a space is refused for the header.
		if c.stage == payload && !strings.Contains(attack.bad, " ") {
			want = strings.TrimPrefix(attack.want.Error(), "parajwt: ")
		}
		if strings.HasPrefix(attack.bad, " ") {
			continue // several spaces before the token are valid in a header
		}
		refuse := func(kind string, call func(context.Context) error) {
			t.Helper()
			before := s.calls.Load()
			var err error
			if printable(attack.bad) {
				err = call(withToken(t.Context(), attack.bad))
			} else {
				err = s.direct(t, kind, attack.bad)
			}
			st := status.Convert(err)
			if st.Code() != codes.Unauthenticated || st.Message() != want ||
				len(st.Details()) != 0 {
				t.Errorf("%s, %s: got %v, want %q", attack.name, kind, err, want)
			}
			if s.calls.Load() != before {
				t.Errorf("%s, %s: the method was called", attack.name, kind)
			}
			testkit.NoLeak(t, attack.name+": "+st.String(), attack.bad, "canary")
			lines := log.Take()
			if got := refusals(lines); !slices.Equal(got, []string{string(attack.want)}) {
				t.Errorf("%s, %s: logged as %q", attack.name, kind, lines)
			}
			testkit.NoLeak(t, attack.name+": "+fmt.Sprint(lines), attack.bad, "canary")
		}
		lets := func(kind string, call func(context.Context) error) {
			t.Helper()
			before := s.calls.Load()
			if err := call(withToken(t.Context(), attack.sibling(f))); err != nil {
				t.Errorf("%s, %s: its sibling is refused: %v", attack.name, kind, err)
			}
			if s.calls.Load() != before+1 {
				t.Errorf("%s, %s: the method was not called", attack.name, kind)
			}
			log.Take()
		}
		for kind, call := range map[string]func(context.Context) error{
			"unary": s.unary, "stream": s.stream,
		} {
			refuse(kind, call)
			lets(kind, call)
			refuse(kind, call)
		}
	}
}

// printable reports whether gRPC's client can send a token. Metadata whose name
// does not end with "-bin" is printable ASCII.
func printable(token string) bool {
	for _, b := range []byte(token) {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return true
}

func withToken(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// grpcSite is a gRPC server on loopback behind both interceptors, and a client.
type grpcSite struct {
	pb.UnimplementedTestServiceServer
	calls          atomic.Int64 // of the guarded methods
	unaryGuard     grpc.UnaryServerInterceptor
	streamGuard    grpc.StreamServerInterceptor
	client         pb.TestServiceClient
	anonymousCalls atomic.Int64
}

func serveGRPC(t *testing.T, v *middleware.Validator) *grpcSite {
	t.Helper()
	s := &grpcSite{
		unaryGuard:  paragrpc.UnaryServerInterceptor(v),
		streamGuard: paragrpc.StreamServerInterceptor(v),
	}
	server := grpc.NewServer(
		grpc.UnaryInterceptor(s.unaryGuard), grpc.StreamInterceptor(s.streamGuard))
	pb.RegisterTestServiceServer(server, s)
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	s.client = pb.NewTestServiceClient(conn)
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := s.anonymousCalls.Load(); n != 0 {
			t.Errorf("%d calls without a user", n)
		}
	})
	return s
}

func (s *grpcSite) called(ctx context.Context) {
	s.calls.Add(1)
	if _, ok := claims.FromContext(ctx); !ok {
		s.anonymousCalls.Add(1)
	}
}

func (s *grpcSite) EmptyCall(ctx context.Context, in *pb.Empty) (*pb.Empty, error) {
	s.called(ctx)
	return in, nil
}

func (s *grpcSite) StreamingOutputCall(
	_ *pb.StreamingOutputCallRequest,
	stream grpc.ServerStreamingServer[pb.StreamingOutputCallResponse],
) error {
	s.called(stream.Context())
	return nil
}

func (s *grpcSite) unary(ctx context.Context) error {
	_, err := s.client.EmptyCall(ctx, new(pb.Empty))
	return err
}

func (s *grpcSite) stream(ctx context.Context) error {
	stream, err := s.client.StreamingOutputCall(ctx, new(pb.StreamingOutputCallRequest))
	if err != nil {
		return err
	}
	if _, err = stream.Recv(); err == io.EOF {
		return nil
	}
	return err
}

// direct calls an interceptor with a token that gRPC's client cannot send.
func (s *grpcSite) direct(t *testing.T, kind, token string) error {
	ctx := metadata.NewIncomingContext(t.Context(),
		metadata.Pairs("authorization", "Bearer "+token))
	if kind == "stream" {
		return s.streamGuard(nil, metadataOnly{ctx: ctx},
			&grpc.StreamServerInfo{FullMethod: pb.TestService_StreamingOutputCall_FullMethodName},
			func(any, grpc.ServerStream) error { s.calls.Add(1); return nil })
	}
	_, err := s.unaryGuard(ctx, new(pb.Empty),
		&grpc.UnaryServerInfo{FullMethod: pb.TestService_EmptyCall_FullMethodName},
		func(context.Context, any) (any, error) { s.calls.Add(1); return nil, nil })
	return err
}

// metadataOnly is a stream that a guard refuses before it is used.
type metadataOnly struct {
	grpc.ServerStream
	ctx context.Context
}

func (s metadataOnly) Context() context.Context { return s.ctx }
