package recipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// Events returns a handler that streams events to a user while the user's token
// is valid. It checks the user again at each interval, such as time.Minute.
// subscribe returns the user's events, and closes the channel when ctx ends.
//
// An EventSource cannot set header fields, so it needs the cookie.
func Events(
	validator *middleware.Validator, interval time.Duration,
	subscribe func(ctx context.Context, userID string) <-chan any,
) http.Handler {
	sources := middleware.TokenFrom(
		middleware.FromAuthorization(), middleware.FromCookie("__Host-para"))
	return parahttp.Require(validator, sources)(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			user, _ := claims.FromContext(r.Context())
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			events := subscribe(ctx, user.UserID)

			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Cache-Control", "no-store")
			stream := http.NewResponseController(w)
			stream.SetWriteDeadline(time.Time{}) // http.Server.WriteTimeout would end the stream
			send := func(name string, data any) error {
				line, err := json.Marshal(data)
				if err != nil {
					return err
				}
				if _, err = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, line); err != nil {
					return err
				}
				return stream.Flush()
			}
			if stream.Flush() != nil { // sends the header
				return
			}

			ticker := time.NewTicker(interval)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case event, ok := <-events:
					if !ok || send("message", event) != nil {
						return
					}
				case <-ticker.C:
					err := validator.Recheck(ctx, user)
					if err == nil {
						continue
					}
					var refusal *middleware.Error
					if errors.As(err, &refusal) {
						send("closed", refusal.Code) // a machine name, such as "expired"
					}
					return
				}
			}
		}))
}
