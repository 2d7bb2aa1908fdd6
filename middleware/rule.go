package middleware

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/parajwt/parajwt/claims"
)

// Rule decides whether a verified user may pass. It returns nil to allow the
// user. Any other error is logged as the reason, and the client gets 403
// without it. If a rule could not look something up, it returns an error that
// wraps [ErrRuleUnavailable], and the client gets 503.
//
// ctx is the context of the request. user is read-only: the rules of a guard
// share it. A rule must be safe for concurrent use by multiple goroutines.
type Rule func(ctx context.Context, user *claims.Claims) error

// Any returns a rule that allows a user if at least one of rules does. It tries
// them in order. If none allows the user, the error joins theirs (errors.Join):
// it matches [ErrRuleUnavailable] if one of them does. No rules, or a nil rule,
// is a misconfiguration: every request is refused with 500.
func Any(rules ...Rule) Rule {
	rules = slices.Clone(rules)
	if err := checkRules("Any", rules); err != nil {
		return func(context.Context, *claims.Claims) error { return err }
	}
	return func(ctx context.Context, user *claims.Claims) error {
		var errs []error
		for _, rule := range rules {
			err := rule(ctx, user)
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
}

// AuthTypes returns a rule that allows users who logged in with one of these
// authentication types. Without types, it allows no user.
func AuthTypes(types ...claims.AuthType) Rule {
	types = slices.Clone(types)
	return func(_ context.Context, user *claims.Claims) error {
		if !slices.Contains(types, user.AuthType) {
			return fmt.Errorf("authType is %q, not one of %q", user.AuthType, types)
		}
		return nil
	}
}

// WalletOf returns a rule that allows users with an embedded wallet of one of
// these types that has an address; see [claims.Claims.HasWalletOf]. Connected
// and external wallets do not count. Without types, it allows no user.
func WalletOf(types ...claims.WalletType) Rule {
	types = slices.Clone(types)
	return func(_ context.Context, user *claims.Claims) error {
		if !user.HasWalletOf(types...) {
			return fmt.Errorf("user has no wallet of type %q", types)
		}
		return nil
	}
}

// checkRules returns a misconfiguration if there is no rule or a nil one.
func checkRules(name string, rules []Rule) error {
	if len(rules) == 0 || slices.ContainsFunc(rules, func(r Rule) bool { return r == nil }) {
		return misconfigured(name + " needs at least one rule and no nil rule")
	}
	return nil
}

func misconfigured(what string) *Error {
	return &Error{Code: ErrMisconfigured, Cause: errors.New(what)}
}

// apply returns the refusal of the first rule that refuses user, or nil.
func apply(ctx context.Context, rules []Rule, user *claims.Claims) *Error {
	for _, rule := range rules {
		err := rule(ctx, user)
		if err == nil {
			continue
		}
		code := ErrForbidden
		var refusal *Error
		switch {
		case errors.As(err, &refusal) && refusal != nil && refusal.Code == ErrMisconfigured:
			return refusal
		case errors.Is(err, ErrRuleUnavailable):
			code = ErrRuleUnavailable
		}
		return &Error{Code: code, Check: CheckRule, KeyID: user.KeyID, Signed: true, Cause: err}
	}
	return nil
}
