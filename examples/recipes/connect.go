package recipes

import (
	"net/http"

	"connectrpc.com/connect"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/middleware"
)

// Connect returns middleware for Connect handlers. Clients of the Connect, gRPC
// and gRPC-Web protocols get refusals as errors of their protocol. Handlers get
// the user from claims.FromContext(ctx).
//
// options are those of the handlers, so that the errors have the right codec.
func Connect(
	validator *middleware.Validator, options ...connect.HandlerOption,
) func(http.Handler) http.Handler {
	writer := connect.NewErrorWriter(options...)
	return parahttp.Require(validator, middleware.OnRefusal(
		func(w http.ResponseWriter, r *http.Request, refusal *middleware.Error) {
			status, header, body := refusal.Answer()
			if !writer.IsSupported(r) { // none of the three protocols
				for name, values := range header {
					w.Header()[name] = values
				}
				w.WriteHeader(status)
				w.Write(body)
				return
			}
			// Set them as headers: net/http drops WWW-Authenticate from
			// trailers, where gRPC has the metadata of an error.
			for _, name := range []string{"Www-Authenticate", "Retry-After"} {
				if value := header.Get(name); value != "" {
					w.Header().Set(name, value)
				}
			}
			// Public hides the cause.
			err := connect.NewError(connectCode(status), refusal.Public())
			writer.Write(w, r, err)
		}))
}

func connectCode(status int) connect.Code {
	switch status {
	case http.StatusUnauthorized:
		return connect.CodeUnauthenticated
	case http.StatusForbidden:
		return connect.CodePermissionDenied
	case http.StatusServiceUnavailable:
		return connect.CodeUnavailable
	}
	return connect.CodeInternal
}
