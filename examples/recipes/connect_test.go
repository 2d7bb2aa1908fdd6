package recipes

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/paratest"
)

func TestConnect(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	const procedure = "/shop.v1.UserService/Me"
	handler := connect.NewUnaryHandler(procedure,
		func(ctx context.Context, _ *connect.Request[emptypb.Empty]) (
			*connect.Response[wrapperspb.StringValue], error,
		) {
			user, _ := claims.FromContext(ctx)
			return connect.NewResponse(wrapperspb.String(user.UserID)), nil
		})
	validator := para.Validator(t)
	mux := http.NewServeMux()
	mux.Handle(procedure, Connect(validator)(handler))
	server := httptest.NewUnstartedServer(mux)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()

	for _, protocol := range []struct {
		name    string
		options []connect.ClientOption
	}{
		{"Connect", nil},
		{"Connect with JSON", []connect.ClientOption{connect.WithProtoJSON()}},
		{"gRPC", []connect.ClientOption{connect.WithGRPC()}},
		{"gRPC-Web", []connect.ClientOption{connect.WithGRPCWeb()}},
	} {
		t.Run(protocol.name, func(t *testing.T) {
			client := connect.NewClient[emptypb.Empty, wrapperspb.StringValue](
				server.Client(), server.URL+procedure, protocol.options...)
			call := func(token string) (string, error) {
				request := connect.NewRequest(&emptypb.Empty{})
				if token != "" {
					request.Header().Set("Authorization", "Bearer "+token)
				}
				response, err := client.CallUnary(t.Context(), request)
				if err != nil {
					return "", err
				}
				return response.Msg.Value, nil
			}
			if id, err := call(para.Token(paratest.EmailUser())); id != paratest.UserID {
				t.Errorf("a user: %q, %v", id, err)
			}
			for name, c := range map[string]struct{ token, challenge string }{
				"no token": {"", "Bearer"},
				"a forged token": {para.Token(paratest.EmailUser(), paratest.BadSignature()),
					`Bearer error="invalid_token"`},
			} {
				_, err := call(c.token)
				var refusal *connect.Error
				if !errors.As(err, &refusal) || refusal.Code() != connect.CodeUnauthenticated ||
					refusal.Message() != "Unauthorized" {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if got := refusal.Meta().Get("Www-Authenticate"); got != c.challenge {
					t.Errorf("%s: WWW-Authenticate %q", name, got)
				}
			}
		})
	}

	plain := request("POST", procedure, "") // none of the three protocols
	plain.Header.Set("Content-Type", "text/plain")
	res := serve(mux, plain)
	answers(t, "other clients", res, 401, `"status":401`)
}

func TestConnectUnavailable(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	para.Down()
	handler := Connect(para.Validator(t))(http.NotFoundHandler())
	r := request("POST", "/shop.v1.UserService/Me", para.Token(paratest.EmailUser()))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Connect-Protocol-Version", "1")
	res := serve(handler, r)
	if res.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	answers(t, "Para is down", res, 503, `"code":"unavailable"`)
}
