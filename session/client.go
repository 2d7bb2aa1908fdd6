package session

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/noredirect"
	"github.com/parajwt/parajwt/internal/parakey"
	"github.com/parajwt/parajwt/jwks"
)

// Config configures a [Client]. Environment and at least one API key are
// required.
type Config struct {
	// Environment is the Para environment of your app. Para's REST API has the
	// same origin as the environment's key set.
	Environment jwks.Environment
	// SecretAPIKey is the secret API key of Para's developer portal (sk_…).
	// [Client.VerifyToken], [Client.VerifyWallet] and [Client.TokenVerifier]
	// need it.
	SecretAPIKey Secret
	// APIKey is the publishable API key, the one of your web client. Imported
	// sessions need it. It is not the API key ID, which is a UUID.
	APIKey string

	// BaseURL is the URL of Para's REST API if it is not the origin of the key
	// set, such as the URL of a proxy. It may have a path. It must be https
	// unless the host is loopback. It receives your API keys.
	BaseURL string
	// Timeout limits a call to Para, including its retries and its wait for
	// other calls. A method that makes several calls may take longer. Default
	// 10 seconds; from 100 milliseconds to 2 minutes.
	Timeout time.Duration
	// HTTPClient makes the calls. The Client uses a copy, which follows no
	// redirects and keeps no cookies. Default: a client with Go's TLS settings
	// and the proxy of the environment variables.
	HTTPClient *http.Client
	// Now is the clock for cached tokens and for Retry-After. It must be safe
	// for concurrent use by multiple goroutines. Default time.Now.
	Now func() time.Time
	// Logger receives retries, dropped key shares and uses of
	// [TokenVerifierConfig].Grace. Default slog.Default().
	Logger *slog.Logger
}

// Client calls Para's REST API in one environment. [New] returns one. A program
// makes one Client and shares it. It need not be closed. A Client is safe for
// concurrent use by multiple goroutines.
type Client struct {
	printed
	cfg       Config // with its defaults
	origin    string // of the environment's API, whatever BaseURL is
	strangers *gate  // for input that may be junk
	known     *gate  // for tokens that Para accepted recently
}

// New returns a client. It makes no call. The error joins every mistake in the
// configuration (errors.Join), without quoting a key. Mistakes include keys of
// the wrong kind, such as a secret key (sk_…) as APIKey. They also include keys
// whose prefix names another environment, such as beta_… at prod.
func New(cfg Config) (*Client, error) {
	origin, originErr := cfg.Environment.APIBase()
	base, baseErr := baseURL(cfg.BaseURL, origin)
	errs := mistakes{originErr, baseErr}

	secret, public := cfg.SecretAPIKey.Reveal(), cfg.APIKey
	if secret == "" && public == "" {
		errs.add("neither SecretAPIKey nor APIKey is set: are the environment variables set?")
	}
	if secret != "" && secret == public {
		errs.add("SecretAPIKey and APIKey are the same: " +
			"Para's developer portal shows two different keys")
	}
	here := knownEnvironment(cfg.Environment, origin)
	if err := parakey.CheckKey(secret, parakey.Secret, here); secret != "" && err != nil {
		errs.add("SecretAPIKey %w", err)
	}
	if err := parakey.CheckKey(public, parakey.Public, here); public != "" && err != nil {
		errs.add("APIKey %w", err)
	}

	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Second)
	if cfg.Timeout < 100*time.Millisecond || cfg.Timeout > 2*time.Minute {
		errs.add("Timeout is %v: use 100ms to 2m, or 0 for the default of 10s", cfg.Timeout)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	if cfg.Environment.Name == "" {
		_, cfg.Environment.Name, _ = strings.Cut(origin, "://")
	}
	cfg.BaseURL = base
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	cfg.HTTPClient, _ = noredirect.Client(cfg.HTTPClient, newTransport())
	return &Client{
		printed: printedAs("Para session client for " + cfg.Environment.Name),
		cfg:     cfg, origin: origin,
		strangers: newGate(maxNewCalls), known: newGate(maxKnownCalls),
	}, nil
}

// mistakes are the mistakes in a configuration. It is nil without mistakes, as
// errors.Join needs it.
type mistakes []error

func (m *mistakes) add(format string, args ...any) {
	*m = append(*m, fmt.Errorf("session: "+format, args...))
}

// baseURL checks Config.BaseURL like an environment's URL, and keeps its path.
func baseURL(s, byDefault string) (string, error) {
	if s == "" {
		return byDefault, nil
	}
	origin, err := jwks.Environment{Name: "BaseURL", URL: s}.APIBase()
	if err != nil {
		return "", fmt.Errorf("session: BaseURL: %w", err)
	}
	u, err := url.Parse(s)
	if err != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("session: BaseURL: it has a query or a fragment")
	}
	return origin + strings.TrimRight(u.EscapedPath(), "/"), nil
}

// knownEnvironment returns the name of Para's environment with this origin or
// name, or "". It returns "" on loopback, so that New accepts the keys of every
// environment there.
func knownEnvironment(env jwks.Environment, origin string) string {
	if origin == "" || strings.HasPrefix(origin, "http://") {
		return ""
	}
	for _, known := range []jwks.Environment{jwks.Prod, jwks.Beta, jwks.Sandbox} {
		if base, _ := known.APIBase(); base == origin || strings.EqualFold(known.Name, env.Name) {
			return known.Name
		}
	}
	return ""
}

// visible reports whether s has 1 to limit bytes of visible ASCII, and can thus
// be sent in a header field.
func visible(s string, limit int) bool {
	return printable(s, limit) && !strings.Contains(s, " ")
}

// printable is visible, with spaces allowed.
func printable(s string, limit int) bool {
	other := func(r rune) bool { return r < ' ' || r > '~' }
	return s != "" && len(s) <= limit && !strings.ContainsFunc(s, other)
}

// Identity is the login of a verification token, as Para attests it. It has no
// user ID. Printing or logging it does not show Identifier, which is personal
// data. JSON encoding does.
type Identity struct {
	AuthType    claims.AuthType    `json:"authType"`
	Identifier  string             `json:"identifier"` // the email address, phone number, …
	OAuthMethod claims.OAuthMethod `json:"oAuthMethod,omitempty"`
}

// Format implements [fmt.Formatter] for every verb. It does not write the
// Identifier.
func (id Identity) Format(f fmt.State, _ rune) {
	how := strings.TrimSuffix(string(id.AuthType)+", "+string(id.OAuthMethod), ", ")
	fmt.Fprintf(f, "Para identity (%s)", how)
}

// LogValue implements [slog.LogValuer]. It does not contain the Identifier.
func (id Identity) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(id)) }

// VerifyToken verifies a verification token with Para and returns the login
// that it belongs to. The user's client gets the token from Para's
// getVerificationToken. VerifyToken needs Config.SecretAPIKey.
//
// The error has the code [ErrSessionExpired], [ErrUnauthorizedKey],
// [ErrUnavailable] or [ErrUnexpectedAnswer]. Without a call, it has
// [ErrNotAToken] or [ErrNoAPIKey].
//
// A call that fails with ErrUnavailable is repeated up to twice, except after
// 429 and 503. At most 24 calls of VerifyToken and VerifyWallet run at a time.
// 1,000 further calls wait, and all others fail at once with ErrUnavailable.
//
// Source: POST /sessions/verify of Para's documentation ("Using Verification
// Tokens").
func (c *Client) VerifyToken(ctx context.Context, token string) (Identity, error) {
	return c.verifyToken(ctx, token, c.strangers)
}

func (c *Client) verifyToken(ctx context.Context, token string, g *gate) (Identity, error) {
	if !visible(token, 1<<10) {
		return Identity{}, &Error{Code: ErrNotAToken}
	}
	doc, err := c.askSecretly(ctx, "verificationToken", token, call{
		path: "/sessions/verify", gate: g,
		fields: append(of(required, "authType identifier"), field{name: "oAuthMethod"}),
		codes:  map[int]Code{http.StatusForbidden: ErrSessionExpired},
	})
	return Identity{
		AuthType:    claims.AuthType(doc.get("authType").text),
		Identifier:  doc.get("identifier").text,
		OAuthMethod: claims.OAuthMethod(doc.get("oAuthMethod").text),
	}, err
}

// VerifyWallet returns the ID of the embedded wallet with this address, if a
// user of your app has one. Para does not report which user. VerifyWallet needs
// Config.SecretAPIKey.
//
// The error has the code [ErrWalletNotFound], [ErrUnauthorizedKey],
// [ErrUnavailable] or [ErrUnexpectedAnswer]. Without a call, it has
// [ErrNotAnAddress] or [ErrNoAPIKey]. Calls are repeated and limited like those
// of [Client.VerifyToken].
//
// Source: POST /wallets/verify of Para's documentation ("Verifying Wallet
// Ownership").
func (c *Client) VerifyWallet(ctx context.Context, address string) (walletID string, err error) {
	if !visible(address, 256) {
		return "", &Error{Code: ErrNotAnAddress}
	}
	doc, err := c.askSecretly(ctx, "address", address, call{
		path: "/wallets/verify", gate: c.strangers, fields: of(required, "walletId"),
		codes: map[int]Code{http.StatusNotFound: ErrWalletNotFound},
	})
	return doc.get("walletId").text, err
}

// askSecretly posts a name and a value with the secret API key. The value is a
// user's input. The result is the zero node if there is an error.
func (c *Client) askSecretly(ctx context.Context, name, value string, k call) (node, error) {
	if k.key = c.cfg.SecretAPIKey.Reveal(); k.key == "" {
		return node{}, &Error{Code: ErrNoAPIKey, Hint: "set Config.SecretAPIKey"}
	}
	k.body, _ = json.Marshal(map[string]string{name: value}) // strings do not fail
	a, err := c.do(ctx, k)
	return a.doc, err
}
