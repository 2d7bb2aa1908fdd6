package jwks

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Environment is one of Para's environments. Each signs with keys of its own; a token of one is
// never accepted by another, not even where both use the same key ID.
//
// The zero Environment is none, and an error wherever one is needed: there is no default that could be
// the wrong one.
type Environment struct {
	// Name stands in logs, in [Status] and in the claims of every user of the environment.
	Name string
	// URL is where the key set is. A URL without a path means the well-known one,
	// /.well-known/jwks.json (RFC 8615). It is https, but for loopback hosts.
	URL string
}

const wellKnown = "/.well-known/jwks.json"

// Para's environments (PARA documentation, "Session Management"; SANDBOX stands in its older pages).
var (
	Prod    = Environment{Name: "prod", URL: "https://api.getpara.com" + wellKnown}
	Beta    = Environment{Name: "beta", URL: "https://api.beta.getpara.com" + wellKnown}
	Sandbox = Environment{Name: "sandbox", URL: "https://api.sandbox.getpara.com" + wellKnown}
)

// ParseEnvironment reads what an operator configures: prod, beta or sandbox in any case, or the URL
// of another key set, whose host becomes the environment's name.
func ParseEnvironment(s string) (Environment, error) {
	switch strings.ToLower(s) {
	case "prod":
		return Prod, nil
	case "beta":
		return Beta, nil
	case "sandbox":
		return Sandbox, nil
	case "":
		return Environment{}, errors.New("jwks: no environment given: use prod, beta, sandbox or the URL of a key set")
	}
	if !strings.Contains(s, "://") {
		return Environment{}, fmt.Errorf("jwks: unknown environment %.40q: use prod, beta, sandbox or the URL of a key set", s)
	}
	return Environment{URL: s}.normalize()
}

// normalize checks the environment and fills in what may be left out.
func (e Environment) normalize() (Environment, error) {
	if e == (Environment{}) {
		return e, errors.New("jwks: Environment is not set: use jwks.Prod, jwks.Beta or another one; there is no default")
	}
	u, err := url.Parse(e.URL)
	if err != nil {
		return e, fmt.Errorf("jwks: environment %q: URL cannot be parsed", e.Name) // the cause would quote it
	}
	switch {
	case u.Hostname() == "":
		return e, fmt.Errorf("jwks: environment %q: URL has no host", e.Name)
	case u.User != nil:
		return e, fmt.Errorf("jwks: environment %q: URL carries a user name or password; use Config.HTTPClient to authenticate", e.Name)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return e, fmt.Errorf("jwks: environment %q: URL is not https (only loopback hosts may be reached by http)", e.Name)
	case u.Scheme != "http" && u.Scheme != "https":
		return e, fmt.Errorf("jwks: environment %q: URL is neither https nor http", e.Name)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = wellKnown
	}
	u.Fragment = ""
	e.URL = u.String()
	if e.Name == "" {
		e.Name = u.Host
	}
	return e, nil
}

// APIBase returns the base of the environment's REST API, which is beside its key set: the scheme and
// host of URL, such as https://api.getpara.com. Its errors are those of an environment that [New]
// would refuse.
func (e Environment) APIBase() (string, error) {
	e, err := e.normalize()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(e.URL)
	if err != nil {
		return "", err
	}
	return u.Scheme + "://" + u.Host, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
