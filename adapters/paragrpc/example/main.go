// A gRPC server whose methods get a verified Para user, and a client for it.
//
//	export PARA_ENVIRONMENT=beta PARA_API_KEY_ID=<the ID of your API key>
//	go run ./adapters/paragrpc/example
//	PARA_JWT=<a user's token> go run ./adapters/paragrpc/example -call
//
// Both use ADDR, by default localhost:8000, without TLS. A token is a
// credential, so use TLS on a network.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	// Replace the service of this package with one that is generated from your
	// .proto file.
	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/parajwt/parajwt/adapters/paragrpc"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
)

func main() {
	call := flag.Bool("call", false, "call a server instead of being one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	addr := os.Getenv("ADDR")
	if addr == "" {
		addr = "localhost:8000"
	}
	run := serve
	if *call {
		run = callServer
	}
	if err := run(ctx, addr); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, addr string) error {
	environment, err := jwks.ParseEnvironment(os.Getenv("PARA_ENVIRONMENT"))
	if err != nil {
		return err
	}
	validator, err := middleware.New(middleware.Config{
		Environment: environment,
		APIKeyIDs:   []string{os.Getenv("PARA_API_KEY_ID")},
	})
	if err != nil {
		return err
	}
	defer validator.Close()

	server := grpc.NewServer(
		grpc.UnaryInterceptor(paragrpc.Except(paragrpc.UnaryServerInterceptor(validator),
			healthpb.Health_Check_FullMethodName)),
		grpc.StreamInterceptor(paragrpc.StreamServerInterceptor(validator)),
	)
	pb.RegisterTestServiceServer(server, service{validator: validator})
	healthpb.RegisterHealthServer(server, health{validator: validator})

	// Fetch Para's keys now, not in the first call. If that fails, the server
	// starts anyway: it retries, and refuses calls with Unavailable.
	if err := validator.Warm(ctx); err != nil {
		log.Print(err)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, server.Stop)
	return server.Serve(listener)
}

type service struct {
	pb.UnimplementedTestServiceServer
	validator *middleware.Validator
}

// UnaryCall returns who the user is.
func (service) UnaryCall(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	user, _ := claims.FromContext(ctx) // always true behind the interceptor
	return &pb.SimpleResponse{Username: user.UserID}, nil
}

// StreamingOutputCall sends the time every second. It checks the user again
// once a minute, because the token expires and the user may be revoked.
func (s service) StreamingOutputCall(
	_ *pb.StreamingOutputCallRequest,
	stream grpc.ServerStreamingServer[pb.StreamingOutputCallResponse],
) error {
	ctx := stream.Context()
	user, _ := claims.FromContext(ctx)
	second, minute := time.NewTicker(time.Second), time.NewTicker(time.Minute)
	defer second.Stop()
	defer minute.Stop()
	for {
		now := []byte(time.Now().Format(time.TimeOnly))
		err := stream.Send(&pb.StreamingOutputCallResponse{Payload: &pb.Payload{Body: now}})
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-minute.C:
			if err := s.validator.Recheck(ctx, user); err != nil {
				return paragrpc.Error(err)
			}
		case <-second.C:
		}
	}
}

// health reports whether tokens can be verified. It is open to everyone.
type health struct {
	healthpb.UnimplementedHealthServer
	validator *middleware.Validator
}

func (h health) Check(
	context.Context, *healthpb.HealthCheckRequest,
) (*healthpb.HealthCheckResponse, error) {
	status := healthpb.HealthCheckResponse_NOT_SERVING
	if h.validator.Status().Usable {
		status = healthpb.HealthCheckResponse_SERVING
	}
	return &healthpb.HealthCheckResponse{Status: status}, nil
}

// callServer calls each method, and ends the stream after its first message.
func callServer(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := grpc.NewClient(addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(token(os.Getenv("PARA_JWT"))),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)),
	)
	if err != nil {
		return err
	}
	defer conn.Close()

	state, err := healthpb.NewHealthClient(conn).Check(ctx, new(healthpb.HealthCheckRequest))
	if err != nil {
		return err
	}
	fmt.Println("health:", state.Status)

	client := pb.NewTestServiceClient(conn)
	me, err := client.UnaryCall(ctx, new(pb.SimpleRequest))
	if err != nil {
		return err
	}
	fmt.Println("user:", me.Username)

	stream, err := client.StreamingOutputCall(ctx, new(pb.StreamingOutputCallRequest))
	if err != nil {
		return err
	}
	message, err := stream.Recv()
	if err != nil {
		return err
	}
	fmt.Println("time:", string(message.GetPayload().GetBody()))
	return nil
}

// token is a user's token, sent in the metadata of each call. A program that
// renews its token returns the current one.
type token string

func (t token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if t == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + string(t)}, nil
}

// RequireTransportSecurity must return true in a program that connects to
// another host.
func (t token) RequireTransportSecurity() bool { return false }
