package middleware

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/parajwt/parajwt/claims"
)

// Rule decides whether a verified user may pass. It returns nil to allow, or
// the reason for the log; the client gets 403 without the reason. A rule that
// could not look something up returns an error that wraps [ErrRuleUnavailable],
// and the client gets 503.
//
// ctx is that of the request. A rule must be safe for concurrent use by
// multiple goroutines.
type Rule func(ctx context.Context, user *claims.Claims) error

// Any returns a rule that allows what at least one of rules allows. It tries
// them in order. If none allows and one of them was unavailable, the result is
// unavailable too. No rules, or a nil rule, is a misconfiguration: every
// request is refused with 500.
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

// AuthTypes returns a rule that allows users who logged in by one of these
// authentication types.
func AuthTypes(types ...claims.AuthType) Rule {
	types = slices.Clone(types)
	return func(_ context.Context, user *claims.Claims) error {
		if !slices.Contains(types, user.AuthType) {
			return fmt.Errorf("authType is %q, not one of %q", user.AuthType, types)
		}
		return nil
	}
}

// WalletOf returns a rule that allows users who own an embedded wallet of one
// of these types. Connected and external wallets do not count.
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

// apply returns why the first rule that fails refuses user, or nil.
func apply(ctx context.Context, rules []Rule, user *claims.Claims) *Error {
	for _, rule := range rules {
		err := rule(ctx, user)
		if err == nil {
			continue
		}
		code := ErrForbidden
		var refusal *Error
		switch {
		case errors.As(err, &refusal) && refusal.Code == ErrMisconfigured:
			return refusal
		case errors.Is(err, ErrRuleUnavailable):
			code = ErrRuleUnavailable
		}
		return &Error{Code: code, Check: CheckRule, KeyID: user.KeyID, Signed: true, Cause: err}
	}
	return nil
}
