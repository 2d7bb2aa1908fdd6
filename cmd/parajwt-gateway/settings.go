package main

import (
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/parajwt/parajwt/jwks"
)

const help = `usage: parajwt-gateway --env ENV --api-key-id UUID [flags]
       parajwt-gateway --print-config PROXY

Verifies Para users for a reverse proxy. /auth, and every path below it,
responds with 200 and the user in X-Para-* header fields, or with 400, 401, 403
or 503. /healthz responds with 200 if tokens can be verified, else with 503.

Each setting has an environment variable. A flag takes precedence over it.

  --env ENV          prod, beta, sandbox or the URL of a key set
                     (PARA_ENVIRONMENT)
  --api-key-id UUID  unique ID of the app's API key in Para's developer portal,
                     not the key itself; separate several IDs with commas
                     (PARA_API_KEY_ID)
  --listen ADDR      HOST:PORT or unix:/path, default 127.0.0.1:8090
                     (PARA_LISTEN)
  --optional         respond with 200 also to a request without a token; every
                     field is then "-" (PARA_OPTIONAL)
  --redis URL        follow the revocation list in redis://HOST:PORT/DB
                     (PARA_REDIS)
  --redis-key KEY    key of the list, default para:revocations
                     (PARA_REDIS_KEY)

  --print-config nginx|caddy|haproxy|haproxy-lua|traefik|envoy|ingress-nginx
                     print a complete configuration for the proxy
  --help             print this text

It logs one JSON line per refusal to standard error, without the token. SIGTERM
and SIGINT let requests in progress finish, for at most 10 seconds.

Exit status
  0  after a signal
  1  it could not listen, or could not finish in time after a signal
  2  a setting is wrong
`

var errHelp = errors.New("help")

// settings are the values of the command line and the environment variables.
type settings struct {
	environment jwks.Environment
	apiKeyIDs   []string
	listen      string
	optional    bool
	redis       *redis.Options // nil: no revocations
	redisKey    string
	printConfig string
}

const (
	defaultListen   = "127.0.0.1:8090"
	defaultRedisKey = "para:revocations"
)

// variables are the environment variables of the flags.
func variables() map[string]string {
	return map[string]string{
		"env": "PARA_ENVIRONMENT", "api-key-id": "PARA_API_KEY_ID", "listen": "PARA_LISTEN",
		"optional": "PARA_OPTIONAL", "redis": "PARA_REDIS", "redis-key": "PARA_REDIS_KEY",
	}
}

// parse returns the settings, or every mistake in them. No error contains the
// value of a setting that may be a secret.
func parse(args []string, getenv func(string) string) (settings, error) {
	var s settings
	var env, ids, redisURL string
	fs := flag.NewFlagSet("parajwt-gateway", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&env, "env", "", "")
	fs.StringVar(&ids, "api-key-id", "", "")
	fs.StringVar(&s.listen, "listen", defaultListen, "")
	fs.BoolVar(&s.optional, "optional", false, "")
	fs.StringVar(&redisURL, "redis", "", "")
	fs.StringVar(&s.redisKey, "redis-key", "", "")
	fs.StringVar(&s.printConfig, "print-config", "", "")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return s, errHelp
	case err != nil:
		return s, err
	case fs.NArg() > 0:
		return s, errors.New("it takes no arguments; every flag begins with --")
	}
	given := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if given["print-config"] {
		return s, nil
	}

	var errs []error
	for name, variable := range variables() {
		if value := getenv(variable); value != "" && !given[name] {
			if fs.Set(name, value) != nil {
				errs = append(errs, fmt.Errorf("%s: use true or false", variable))
			}
			given[name] = true
		}
	}
	if env == "" {
		errs = append(errs, errors.New("give --env or PARA_ENVIRONMENT: "+
			"prod, beta, sandbox or the URL of a key set"))
	} else {
		var err error
		s.environment, err = jwks.ParseEnvironment(env)
		errs = append(errs, err)
	}
	if ids == "" {
		errs = append(errs, errors.New("give --api-key-id or PARA_API_KEY_ID: "+
			"the unique ID of your API key in Para's developer portal, not the key itself"))
	} else {
		for id := range strings.SplitSeq(ids, ",") {
			s.apiKeyIDs = append(s.apiKeyIDs, strings.TrimSpace(id))
		}
	}
	if network, address := splitListen(s.listen); network == "tcp" {
		if _, _, err := net.SplitHostPort(address); err != nil {
			errs = append(errs, errors.New("--listen: give HOST:PORT or unix:/path"))
		}
	} else if address == "" {
		errs = append(errs, errors.New("--listen: give a path, as in unix:/run/parajwt.sock"))
	}
	switch {
	case redisURL != "":
		var err error
		if s.redis, err = redis.ParseURL(redisURL); err != nil { // err would quote the password
			errs = append(errs, errors.New("--redis: give redis://USER:PASSWORD@HOST:PORT/DB, "+
				"rediss://… for TLS, or unix://PATH"))
			break
		}
		s.redis.ContextTimeoutEnabled = true // redisstore.Do must obey the context
		// Without these settings, go-redis sends commands that the ACL rule of
		// docs/fleet.md does not permit.
		s.redis.DisableIdentity = true
		s.redis.MaintNotificationsConfig = &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		}
	case given["redis"]:
		errs = append(errs, errors.New("--redis is empty: omit it, or give a URL"))
	case given["redis-key"]:
		errs = append(errs, errors.New("--redis-key requires --redis: "+
			"without it, revocations have no effect"))
	}
	if s.redisKey == "" {
		s.redisKey = defaultRedisKey
	}
	return s, errors.Join(errs...)
}

// splitListen returns the arguments of net.Listen.
func splitListen(listen string) (network, address string) {
	if path, ok := strings.CutPrefix(listen, "unix:"); ok {
		return "unix", path
	}
	return "tcp", listen
}

// lines returns the errors that errors.Join joined.
func lines(err error) []string { return strings.Split(err.Error(), "\n") }

//go:embed config
var configs embed.FS

// proxies are the names that --print-config takes, and their files.
func proxies() [][2]string {
	return [][2]string{
		{"nginx", "nginx.conf"}, {"caddy", "Caddyfile"}, {"haproxy", "haproxy.cfg"},
		{"haproxy-lua", "para.lua"}, {"traefik", "traefik.yaml"}, {"envoy", "envoy.yaml"},
		{"ingress-nginx", "ingress-nginx.yaml"},
	}
}

// printConfig writes the configuration of a proxy.
func printConfig(w io.Writer, proxy string) error {
	names := make([]string, 0, len(proxies()))
	for _, p := range proxies() {
		names = append(names, p[0])
	}
	i := slices.Index(names, proxy)
	if i < 0 {
		return fmt.Errorf("--print-config: give one of %s", strings.Join(names, ", "))
	}
	text, err := configs.ReadFile("config/" + proxies()[i][1])
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}
