package recipes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/middleware"
)

// Tenants serves several Para apps, each under its host name and with its
// validator. The host selects the validator, not the token: a token of another
// tenant has the wrong aud and is refused.
type Tenants struct {
	handlers   map[string]http.Handler // by lower-case host name
	validators []*middleware.Validator
}

// NewTenants returns a handler for the given apps, by host name. In next,
// TenantFrom returns the host, and claims.FromContext the user.
func NewTenants(apps map[string]middleware.Config, next http.Handler) (*Tenants, error) {
	t := &Tenants{handlers: make(map[string]http.Handler)}
	for host, cfg := range apps {
		host = strings.ToLower(host)
		validator, err := middleware.New(cfg)
		if _, ok := t.handlers[host]; ok && err == nil {
			err = errors.Join(errors.New("configured twice"), validator.Close())
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("tenant %s: %w", host, err), t.Close())
		}
		t.validators = append(t.validators, validator)
		t.handlers[host] = withTenant(host, parahttp.Require(validator)(next))
	}
	return t, nil
}

// ServeHTTP passes a request to its tenant's handler.
func (t *Tenants) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	handler, ok := t.handlers[strings.ToLower(host)]
	if !ok {
		http.Error(w, "unknown host", http.StatusMisdirectedRequest)
		return
	}
	handler.ServeHTTP(w, r)
}

// Close closes the validators.
func (t *Tenants) Close() error {
	for _, validator := range t.validators {
		validator.Close()
	}
	return nil
}

type tenantKey struct{}

// TenantFrom returns the host of the request's tenant. Use it together with
// UserID as the key of stored data.
func TenantFrom(ctx context.Context) string {
	host, _ := ctx.Value(tenantKey{}).(string)
	return host
}

func withTenant(host string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tenantKey{}, host)))
	})
}
