package middleware

import "context"

// Event is the verdict on one request, for metrics. It contains no part of the
// token.
type Event struct {
	Code        Code   // "" for an accepted request
	Check       Check  // the check that refused, or ""
	Cached      bool   // whether the token cache had the token
	Environment string // the name of the validator's environment
}

// observe reports an outcome to Config.Observe.
func (v *Validator) observe(ctx context.Context, o *outcome) {
	if v.cfg.Observe == nil || o.silent {
		return
	}
	e := Event{Cached: o.cached, Environment: v.keys.Environment().Name}
	switch {
	case o.refusal != nil:
		e.Code, e.Check = o.refusal.Code, o.refusal.Check
	case o.expired != nil:
		e.Code, e.Check = o.expired.Code, o.expired.Check
	}
	v.cfg.Observe(ctx, e)
}
