package recipes

import (
	"net/http"
	"testing"

	"github.com/parajwt/parajwt/paratest"
)

func TestHuma(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	mux := http.NewServeMux()
	Huma(para.Validator(t), mux)

	for _, c := range []struct {
		name, path, token string
		status            int
		part              string
	}{
		{"a user", "/me", para.Token(paratest.EmailUser()), 200, `"wallets":2`},
		{"no token", "/me", "", 401, "Unauthorized"},
		{"a bad token", "/me", para.Token(paratest.EmailUser(), paratest.BadSignature()),
			401, "Unauthorized"},
		{"a public operation", "/prices", "", 204, ""},
		{"a public operation, with a bad token", "/prices",
			para.Token(paratest.EmailUser(), paratest.BadSignature()), 401, "Unauthorized"},
		{"the document", "/openapi.json", "", 200, `"security":[{"para":[]}]`},
		{"the document's public operation", "/openapi.json", "", 200, `"security":[{}]`},
	} {
		answers(t, c.name, serve(mux, request("GET", c.path, c.token)), c.status, c.part)
	}
}
