package jwks

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Environment is one of Para's environments. Each has its own signing keys. A
// token of one environment is refused by the others, even if both use the same
// key ID.
//
// The zero Environment is invalid. There is no default, because a default could
// be the wrong environment.
type Environment struct {
	// Name identifies the environment in logs, in [Status] and in claims.
	Name string
	// URL is the URL of the key set. It must be https unless the host is
	// loopback. Without a path, the path is /.well-known/jwks.json (RFC 8615).
	URL string
}

const wellKnown = "/.well-known/jwks.json"

// Prod, Beta and Sandbox are Para's environments (Para's documentation,
// "Session Management"). Sandbox appears in its older pages only.
var (
	Prod    = Environment{Name: "prod", URL: "https://api.getpara.com" + wellKnown}
	Beta    = Environment{Name: "beta", URL: "https://api.beta.getpara.com" + wellKnown}
	Sandbox = Environment{Name: "sandbox", URL: "https://api.sandbox.getpara.com" + wellKnown}
)

const environmentHint = "use prod, beta, sandbox or the URL of a key set"

// ParseEnvironment parses a configured environment: prod, beta or sandbox
// (case-insensitive), or the URL of another key set. The host of the URL
// becomes the name. It returns an error for any other string, and for a URL
// that [New] would refuse.
func ParseEnvironment(s string) (Environment, error) {
	switch strings.ToLower(s) {
	case "prod":
		return Prod, nil
	case "beta":
		return Beta, nil
	case "sandbox":
		return Sandbox, nil
	case "":
		return Environment{}, errors.New("jwks: no environment given: " + environmentHint)
	}
	if !strings.Contains(s, "://") {
		return Environment{}, fmt.Errorf("jwks: unknown environment %.40q: %s", s, environmentHint)
	}
	return Environment{URL: s}.normalize()
}

// normalize checks the environment and fills in omitted fields.
func (e Environment) normalize() (Environment, error) {
	if e == (Environment{}) {
		return e, errors.New("jwks: Environment is not set: use jwks.Prod, jwks.Beta or another" +
			" one; there is no default")
	}
	u, err := url.Parse(e.URL)
	if err != nil {
		// The cause would quote the URL.
		return e, fmt.Errorf("jwks: environment %q: URL is malformed", e.Name)
	}
	switch {
	case u.Hostname() == "":
		return e, fmt.Errorf("jwks: environment %q: URL has no host", e.Name)
	case u.User != nil:
		return e, fmt.Errorf("jwks: environment %q: URL has a user name or password; "+
			"use Config.HTTPClient to authenticate", e.Name)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return e, fmt.Errorf("jwks: environment %q: URL is not https "+
			"(http is allowed for loopback hosts only)", e.Name)
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

// APIBase returns the base URL of the environment's REST API: the scheme and
// host of URL, such as https://api.getpara.com. It returns an error if [New]
// would refuse the environment.
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
