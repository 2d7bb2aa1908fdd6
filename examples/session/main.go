// Session accepts sessions that a user's client exported. It checks each
// session with Para, extends it, gets a JWT for it and validates that. Without
// configuration, it runs with an emulator of Para on loopback and prints a
// command to try:
//
//	go run ./examples/session
//
// With your own app, the publishable API key comes from Para's developer
// portal:
//
//	PARA_ENVIRONMENT=beta PARA_API_KEY=beta_… PARA_API_KEY_ID=UUID go run ./examples/session
//
// SIGNER_URL=http://127.0.0.1:8090 adds POST /sign, which signs with the user's
// wallet through signer.mjs, a Node process with Para's SDK.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/session"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	listener, err := net.Listen("tcp", cmp.Or(os.Getenv("ADDR"), "localhost:8081"))
	if err != nil {
		return err
	}
	environment := os.Getenv("PARA_ENVIRONMENT")
	apiKey, apiKeyID := os.Getenv("PARA_API_KEY"), os.Getenv("PARA_API_KEY_ID")
	var env jwks.Environment
	switch environment {
	case "":
		para, err := paratest.Start(paratest.Config{})
		if err != nil {
			return err
		}
		defer para.Close()
		env, apiKey, apiKeyID = para.Environment(), para.APIKey(), para.APIKeyID()
		fmt.Printf(
			"An emulator of Para is running. Exchange the session of its user for a token:\n\n"+
				"  curl -d '%s' http://%s/session\n\n",
			para.Login(paratest.EmailUser()).ExportedWithoutSigners(),
			listener.Addr(),
		)
	default:
		if env, err = jwks.ParseEnvironment(environment); err != nil {
			return err
		}
	}

	para, err := session.New(session.Config{Environment: env, APIKey: apiKey})
	if err != nil {
		return err
	}
	validator, err := middleware.New(
		middleware.Config{Environment: env, APIKeyIDs: []string{apiKeyID}},
	)
	if err != nil {
		return err
	}
	defer validator.Close()

	s := &server{para: para, validator: validator, signer: os.Getenv("SIGNER_URL")}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /session", s.session)
	mux.Handle("GET /me", parahttp.Require(validator)(http.HandlerFunc(me)))
	if s.signer != "" {
		mux.HandleFunc("POST /sign", s.sign)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		ended <- server.Shutdown(ctx)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}

type server struct {
	para      *session.Client
	validator *middleware.Validator
	signer    string // the URL of signer.mjs
}

// session exchanges an exported session for a JWT and its user.
func (s *server) session(w http.ResponseWriter, r *http.Request) {
	exported, ok := body(w, r)
	if !ok {
		return
	}
	_, jwt, user, err := s.login(r.Context(), exported)
	if err != nil {
		refuse(w, err)
		return
	}
	// Reveal returns the token. No other code prints it.
	answer(w, http.StatusOK, map[string]any{"token": jwt.Token.Reveal(), "user": user})
}

// login imports a session, checks it and extends it. It returns the user that
// Para attests.
func (s *server) login(ctx context.Context, exported string, opts ...session.ImportOption) (
	*session.Session, session.JWT, *claims.Claims, error) {
	none := session.JWT{}
	imported, err := s.para.Import(exported, opts...)
	if err != nil {
		return nil, none, nil, err
	}
	active, err := imported.IsActive(ctx)
	if err != nil {
		return nil, none, nil, err
	}
	if !active {
		return nil, none, nil, &session.Error{Code: session.ErrSessionExpired}
	}
	if err := imported.KeepAlive(ctx); err != nil {
		return nil, none, nil, err
	}
	jwt, err := imported.IssueJWT(ctx)
	if err != nil {
		return nil, none, nil, err
	}
	user, err := s.validator.Validate(ctx, jwt.Token.Reveal())
	return imported, jwt, user, err
}

// sign signs a message with the user's wallet through signer.mjs. The exported
// session must contain the key shares. The server does not store them.
func (s *server) sign(w http.ResponseWriter, r *http.Request) {
	text, ok := body(w, r)
	if !ok {
		return
	}
	var ask struct{ Session, Message string }
	if err := json.Unmarshal([]byte(text), &ask); err != nil {
		answer(
			w,
			http.StatusBadRequest,
			map[string]string{"error": "not JSON with session and message"},
		)
		return
	}
	imported, _, _, err := s.login(
		r.Context(),
		ask.Session,
		session.KeepSignersThisServerCannotUse(),
	)
	if err != nil {
		refuse(w, err)
		return
	}
	// Decide here whether this user may sign this message.
	ask.Session = imported.Export()
	request, err := json.Marshal(map[string]string{"session": ask.Session, "message": ask.Message})
	if err != nil {
		refuse(w, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.signer, bytes.NewReader(request))
	if err != nil {
		refuse(w, err)
		return
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		refuse(w, err)
		return
	}
	defer res.Body.Close()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(res.StatusCode)
	io.Copy(w, io.LimitReader(res.Body, 64<<10))
}

// me returns the user of a request with a JWT.
func me(w http.ResponseWriter, r *http.Request) {
	user, _ := claims.FromContext(r.Context())
	answer(w, http.StatusOK, user)
}

// body returns the body of a request, which has an exported session. If it is
// too large, body responds with 413 and returns false.
func body(w http.ResponseWriter, r *http.Request) (string, bool) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20+64<<10))
	if err != nil {
		answer(w, http.StatusRequestEntityTooLarge, map[string]string{"error": "too large"})
	}
	return string(text), err == nil
}

// refuse responds with 401 to an invalid session, and with 503 if Para did not
// answer.
func refuse(w http.ResponseWriter, err error) {
	log.Print(err) // contains no secrets
	var e *session.Error
	if errors.As(err, &e) && e.Refused() {
		answer(w, http.StatusUnauthorized, map[string]string{"error": "log in again"})
		return
	}
	answer(w, http.StatusServiceUnavailable, map[string]string{"error": "try again later"})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}
