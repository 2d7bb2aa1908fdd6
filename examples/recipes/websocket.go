package recipes

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// WebSocket returns a handler that echoes messages while the user's token is
// valid. It checks the user again at each interval, such as time.Minute.
//
// In a browser: new WebSocket(url, ["para.jwt", token, "echo.v1"]).
func WebSocket(validator *middleware.Validator, interval time.Duration) http.Handler {
	source := middleware.TokenFrom(middleware.FromWebSocketProtocol())
	return parahttp.Require(validator, source)(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			user, _ := claims.FromContext(r.Context())
			conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
				Subprotocols: []string{"echo.v1"},
			})
			if err != nil {
				return // Accept has responded
			}
			defer conn.CloseNow()

			// The handler returns after the watcher.
			ctx, cancel := context.WithCancel(r.Context())
			var watcher sync.WaitGroup
			defer watcher.Wait()
			defer cancel()
			watcher.Go(func() { watch(ctx, conn, validator, user, interval) })

			for {
				kind, message, err := conn.Read(ctx)
				if err != nil {
					return
				}
				if err := conn.Write(ctx, kind, message); err != nil {
					return
				}
			}
		}))
}

// watch closes the connection when the user is no longer valid.
func watch(
	ctx context.Context, conn *websocket.Conn,
	validator *middleware.Validator, user *claims.Claims, interval time.Duration,
) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := validator.Recheck(ctx, user)
		if err == nil {
			continue
		}
		var refusal *middleware.Error
		if errors.As(err, &refusal) && refusal.Status() == http.StatusServiceUnavailable {
			conn.Close(websocket.StatusTryAgainLater, "try again")
		} else {
			conn.Close(websocket.StatusPolicyViolation, "log in again")
		}
		return
	}
}
