package paragrpc_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/parajwt/parajwt/adapters/paragrpc"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// greeter implements a service that is generated from a .proto file. The user
// is in the context.
type greeter struct {
	pb.UnimplementedTestServiceServer
}

func (greeter) UnaryCall(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	user, ok := claims.FromContext(ctx)
	if !ok {
		return &pb.SimpleResponse{Username: "stranger"}, nil
	}
	return &pb.SimpleResponse{Username: user.Email}, nil
}

func ExampleUnaryServerInterceptor() {
	para, validator := start()
	defer para.Close()
	defer validator.Close()

	server := grpc.NewServer(
		grpc.UnaryInterceptor(paragrpc.UnaryServerInterceptor(validator)),
		grpc.StreamInterceptor(paragrpc.StreamServerInterceptor(validator)),
	)
	pb.RegisterTestServiceServer(server, greeter{})
	conn := dial(server)
	defer server.Stop()
	defer conn.Close()
	client := pb.NewTestServiceClient(conn)

	ctx := metadata.AppendToOutgoingContext(context.Background(),
		"authorization", "Bearer "+para.Token(paratest.EmailUser()))
	answer, err := client.UnaryCall(ctx, new(pb.SimpleRequest))
	fmt.Println(answer.GetUsername(), err)

	_, err = client.UnaryCall(context.Background(), new(pb.SimpleRequest))
	fmt.Println(err)
	// Output:
	// email@example.com <nil>
	// rpc error: code = Unauthenticated desc = no valid token
}

func ExampleOptionalUnaryServerInterceptor() {
	para, validator := start()
	defer para.Close()
	defer validator.Close()

	server := grpc.NewServer(
		grpc.UnaryInterceptor(paragrpc.OptionalUnaryServerInterceptor(validator)),
		grpc.StreamInterceptor(paragrpc.OptionalStreamServerInterceptor(validator)),
	)
	pb.RegisterTestServiceServer(server, greeter{})
	conn := dial(server)
	defer server.Stop()
	defer conn.Close()
	client := pb.NewTestServiceClient(conn)

	answer, err := client.UnaryCall(context.Background(), new(pb.SimpleRequest))
	fmt.Println(answer.GetUsername(), err)
	// Output: stranger <nil>
}

// Load balancers call the health service without a token.
func ExampleExcept() {
	para, validator := start()
	defer para.Close()
	defer validator.Close()

	server := grpc.NewServer(
		grpc.UnaryInterceptor(paragrpc.Except(paragrpc.UnaryServerInterceptor(validator),
			healthpb.Health_Check_FullMethodName)),
		grpc.StreamInterceptor(paragrpc.Except(paragrpc.StreamServerInterceptor(validator),
			healthpb.Health_Watch_FullMethodName)),
	)
	pb.RegisterTestServiceServer(server, greeter{})
	healthpb.RegisterHealthServer(server, health.NewServer())
	conn := dial(server)
	defer server.Stop()
	defer conn.Close()

	answer, err := healthpb.NewHealthClient(conn).Check(
		context.Background(), new(healthpb.HealthCheckRequest))
	fmt.Println(answer.GetStatus(), err)
	_, err = pb.NewTestServiceClient(conn).UnaryCall(context.Background(), new(pb.SimpleRequest))
	fmt.Println(status.Code(err))
	// Output:
	// SERVING <nil>
	// Unauthenticated
}

// A long stream checks its user again, because the token expires and the user
// may be revoked.
func ExampleError() {
	para, validator := start()
	defer para.Close()
	defer validator.Close()

	server := grpc.NewServer(
		grpc.StreamInterceptor(paragrpc.StreamServerInterceptor(validator)))
	ticks := make(chan time.Time) // a program uses time.NewTicker(time.Minute).C
	pb.RegisterTestServiceServer(server, clock{validator: validator, ticks: ticks})
	conn := dial(server)
	defer server.Stop()
	defer conn.Close()
	client := pb.NewTestServiceClient(conn)

	ctx := metadata.AppendToOutgoingContext(context.Background(),
		"authorization", "Bearer "+para.Token(paratest.EmailUser()))
	stream, err := client.StreamingOutputCall(ctx, new(pb.StreamingOutputCallRequest))
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		ticks <- para.Now()
		answer, err := stream.Recv()
		fmt.Println(string(answer.GetPayload().GetBody()), err)
		para.Advance(time.Hour) // the token expires
	}
	// Output:
	// tick <nil>
	//  rpc error: code = Unauthenticated desc = token expired
}

// clock sends "tick" at each tick until the token expires or is revoked.
type clock struct {
	pb.UnimplementedTestServiceServer
	validator *middleware.Validator
	ticks     <-chan time.Time
}

func (c clock) StreamingOutputCall(
	_ *pb.StreamingOutputCallRequest,
	stream grpc.ServerStreamingServer[pb.StreamingOutputCallResponse],
) error {
	ctx := stream.Context()
	user, _ := claims.FromContext(ctx)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.ticks:
		}
		if err := c.validator.Recheck(ctx, user); err != nil {
			return paragrpc.Error(err)
		}
		tick := &pb.StreamingOutputCallResponse{Payload: &pb.Payload{Body: []byte("tick")}}
		if err := stream.Send(tick); err != nil {
			return err
		}
	}
}

// start returns a Para on loopback and a validator for its tokens. In a
// program, use jwks.Beta and the ID of your API key.
func start() (*paratest.Para, *middleware.Validator) {
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	validator, err := middleware.New(middleware.Config{
		Environment: para.Environment(),
		APIKeyIDs:   []string{para.APIKeyID()},
		Now:         para.Now,
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	return para, validator
}

// dial starts a server on loopback and returns a connection to it. In a
// program, use TLS: a token is a credential.
func dial(server *grpc.Server) *grpc.ClientConn {
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(listener) // until server.Stop
	conn, err := grpc.NewClient(listener.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	return conn
}
