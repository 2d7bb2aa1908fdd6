package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/strictjson"
	"github.com/parajwt/parajwt/jwks"
)

// Config says which Para to ask, and with which API keys. Environment and at least one of the keys are
// required. It prints, logs and marshals without the keys.
type Config struct {
	// Environment is the one your app lives in. Para's REST API is beside the environment's key set.
	Environment jwks.Environment
	// SecretAPIKey is the secret API key of Para's developer portal. [Client.VerifyToken],
	// [Client.VerifyWallet] and [Client.VerificationTokens] need it.
	SecretAPIKey string
	// APIKey is the publishable API key, the one your web client uses. Imported sessions need it.
	APIKey string

	// BaseURL is where Para's REST API is, if not beside the key set: a proxy of yours, a path of it
	// included. It is https, but for loopback hosts. It gets your API keys.
	BaseURL string
	// Timeout ends a call, its retries included. Default 10 seconds; from 100 milliseconds to 2 minutes.
	Timeout time.Duration
	// HTTPClient is what calls Para. Its redirects and cookies are switched off. Default: a client with
	// Go's TLS settings and the proxy of the environment.
	HTTPClient *http.Client
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger is told of retries and of dropped key shares. Default slog.Default().
	Logger *slog.Logger
}

// String says which keys are set, and none of them.
func (cfg Config) String() string {
	set := func(key string) string {
		if key == "" {
			return "not set"
		}
		return hidden
	}
	return fmt.Sprintf("session.Config{Environment: %q, SecretAPIKey: %s, APIKey: %s}", cfg.Environment.Name, set(cfg.SecretAPIKey), set(cfg.APIKey))
}

// Format implements fmt.Formatter for every verb.
func (cfg Config) Format(f fmt.State, _ rune) { io.WriteString(f, cfg.String()) }

// GoString is String.
func (cfg Config) GoString() string { return cfg.String() }

// LogValue is what log/slog writes.
func (cfg Config) LogValue() slog.Value { return slog.StringValue(cfg.String()) }

// MarshalJSON writes String.
func (cfg Config) MarshalJSON() ([]byte, error) { return json.Marshal(cfg.String()) }

// Client asks one environment of Para. It is made by [New], is safe for concurrent use, and is meant to be
// shared by all of a program. It starts nothing that would have to be closed.
type Client struct {
	environment jwks.Environment
	origin      string // of the environment's API, whatever BaseURL says
	base        string
	secretKey   secret
	key         secret
	timeout     time.Duration
	http        *http.Client
	now         func() time.Time
	logger      *slog.Logger
}

// New returns a client. It reports every mistake of the configuration at once (errors.Join), and does not
// touch the network. An API key that carries another environment's prefix (beta_… at prod) is one.
func New(cfg Config) (*Client, error) {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("session: "+format, args...)) }

	origin, err := cfg.Environment.APIBase()
	if err != nil {
		errs = append(errs, err)
	}
	base := origin
	if cfg.BaseURL != "" {
		if base, err = baseURL(cfg.BaseURL); err != nil {
			errs = append(errs, err)
		}
	}

	if cfg.SecretAPIKey == "" && cfg.APIKey == "" {
		fail("neither SecretAPIKey nor APIKey is set: are the environment variables?")
	}
	if cfg.SecretAPIKey != "" && cfg.SecretAPIKey == cfg.APIKey {
		fail("SecretAPIKey and APIKey are the same: Para's developer portal shows two different keys")
	}
	for _, k := range []struct{ name, key string }{{"SecretAPIKey", cfg.SecretAPIKey}, {"APIKey", cfg.APIKey}} {
		switch {
		case k.key == "":
		case !visible(k.key, 1<<10):
			fail("%s has white space or other characters in it that no API key has", k.name)
		default:
			if of, here := keyEnvironment(k.key), knownEnvironment(cfg.Environment, origin); of != "" && here != "" && of != here {
				fail("%s is a key of %s, and Environment is %s", k.name, of, here)
			}
		}
	}

	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Timeout < 100*time.Millisecond || cfg.Timeout > 2*time.Minute {
		fail("Timeout is %v: use 100ms to 2m, or 0 for the default of 10s", cfg.Timeout)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	if cfg.Environment.Name == "" {
		_, cfg.Environment.Name, _ = strings.Cut(origin, "://")
	}
	return &Client{
		environment: cfg.Environment, origin: origin, base: base,
		secretKey: hide(cfg.SecretAPIKey), key: hide(cfg.APIKey),
		timeout: cfg.Timeout, http: newHTTPClient(cfg.HTTPClient), now: cfg.Now, logger: cfg.Logger,
	}, nil
}

// baseURL checks Config.BaseURL as an environment's URL is checked, and keeps its path.
func baseURL(s string) (string, error) {
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

// keyEnvironment returns the environment whose prefix an API key carries (Para's SDK), or "".
func keyEnvironment(key string) string {
	prefix, _, found := strings.Cut(strings.ToLower(key), "_")
	switch prefix {
	case "prod", "beta", "sandbox", "dev":
		if found {
			return prefix
		}
	}
	return ""
}

// knownEnvironment returns which of Para's environments this is, by where it is or by its name, or "" where
// it cannot be told. What is reached by http is on loopback, where any key may be tried.
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

// visible reports whether s is something, not too long, and all visible ASCII: fit for a header.
func visible(s string, limit int) bool {
	if len(s) > limit {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) > 0
}

// Environment returns the environment that is asked.
func (c *Client) Environment() jwks.Environment { return c.environment }

// String names the environment.
func (c *Client) String() string { return "Para session client for " + c.environment.Name }

// Format implements fmt.Formatter for every verb.
func (c *Client) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// GoString is String.
func (c *Client) GoString() string { return c.String() }

// LogValue is what log/slog writes.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON writes String.
func (c *Client) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// Identity is what Para says of a verification token. It has no user ID. It prints and logs without
// Identifier, which is personal.
type Identity struct {
	AuthType    claims.AuthType    `json:"authType"`
	Identifier  string             `json:"identifier"` // the email address, phone number, …
	OAuthMethod claims.OAuthMethod `json:"oAuthMethod,omitempty"`
}

// String says how the user logged in, and not who it is.
func (id Identity) String() string {
	if id.OAuthMethod != "" {
		return fmt.Sprintf("Para identity (%s, %s)", id.AuthType, id.OAuthMethod)
	}
	return fmt.Sprintf("Para identity (%s)", id.AuthType)
}

// GoString is String.
func (id Identity) GoString() string { return id.String() }

// LogValue is what log/slog writes.
func (id Identity) LogValue() slog.Value { return slog.StringValue(id.String()) }

// VerifyToken asks Para whose session a verification token is of: what getVerificationToken gave the user's
// client. It needs Config.SecretAPIKey.
//
// Errors: [ErrSessionExpired], [ErrNotAToken] without a call, [ErrUnauthorizedKey], [ErrNoAPIKey],
// [ErrUnavailable], [ErrUnexpectedAnswer]; none comes with an Identity. It only reads, and is retried. Source:
// POST /sessions/verify of Para's documentation ("Using Verification Tokens").
func (c *Client) VerifyToken(ctx context.Context, token string) (Identity, error) {
	if !visible(token, 1<<10) {
		return Identity{}, &Error{Code: ErrNotAToken}
	}
	var id Identity
	a, err := c.askSecretly(ctx, "/sessions/verify", "verificationToken", token, map[int]Code{
		http.StatusForbidden:    ErrSessionExpired,
		http.StatusUnauthorized: ErrUnauthorizedKey,
	})
	if err != nil {
		return Identity{}, err
	}
	err = a.read(func(d *strictjson.Decoder, name string) {
		switch name {
		case "authType":
			id.AuthType = claims.AuthType(text(d))
		case "identifier":
			id.Identifier = text(d)
		case "oAuthMethod":
			id.OAuthMethod = claims.OAuthMethod(optional(d))
		}
	})
	if err == nil && (id.AuthType == "" || id.Identifier == "") {
		err = a.unexpected("it has no authType or no identifier")
	}
	if err != nil {
		return Identity{}, err
	}
	return id, nil
}

// VerifyWallet asks Para for the ID of the embedded wallet with this address, which one of your app's users
// has; Para does not say which. It needs Config.SecretAPIKey.
//
// Errors: [ErrWalletNotFound], [ErrNotAnAddress] without a call, [ErrUnauthorizedKey], [ErrNoAPIKey],
// [ErrUnavailable], [ErrUnexpectedAnswer]. It only reads, and is retried. Source: POST /wallets/verify of Para's
// documentation ("Verifying Wallet Ownership").
func (c *Client) VerifyWallet(ctx context.Context, address string) (walletID string, err error) {
	if !visible(address, 256) {
		return "", &Error{Code: ErrNotAnAddress}
	}
	a, err := c.askSecretly(ctx, "/wallets/verify", "address", address, map[int]Code{
		http.StatusNotFound:     ErrWalletNotFound,
		http.StatusUnauthorized: ErrUnauthorizedKey,
		http.StatusForbidden:    ErrUnauthorizedKey,
	})
	if err != nil {
		return "", err
	}
	err = a.read(func(d *strictjson.Decoder, name string) {
		if name == "walletId" {
			walletID = text(d)
		}
	})
	if err == nil && walletID == "" {
		err = a.unexpected("it has no walletId")
	}
	if err != nil {
		return "", err
	}
	return walletID, nil
}

// askSecretly posts one name and value with the secret API key.
func (c *Client) askSecretly(ctx context.Context, path, name, value string, says map[int]Code) (answer, error) {
	if c.secretKey.reveal() == "" {
		return answer{}, &Error{Code: ErrNoAPIKey, Hint: "set Config.SecretAPIKey"}
	}
	body, err := json.Marshal(map[string]string{name: value})
	if err != nil {
		return answer{}, err
	}
	return c.do(ctx, call{
		method: http.MethodPost, path: path, name: path, body: body, contentType: "application/json",
		header: map[string]string{apiKeyHeader: c.secretKey.reveal()}, says: says, safe: true,
	})
}
