package parakey_test

import (
	"strings"
	"testing"

	"github.com/parajwt/parajwt/internal/parakey"
)

const id = "a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f"

func TestKindAndEnvironment(t *testing.T) {
	const hex = "0123456789abcdef0123456789abcdef"
	for _, c := range []struct {
		value       string
		kind        parakey.Kind
		environment string
	}{
		{id, parakey.ID, ""},
		{strings.ToUpper(id), parakey.ID, ""},
		{"sk_" + hex, parakey.Secret, ""},
		{"sk_beta_" + hex, parakey.Secret, "beta"},
		{"sk_prod_" + hex, parakey.Secret, "prod"},
		{"SK_BETA_" + hex, parakey.Secret, "beta"},
		{"sk_live_" + hex, parakey.Secret, ""},
		{"sk_beta", parakey.Secret, ""},
		{"pk_" + hex, parakey.Public, ""},
		{"pk_beta_" + hex, parakey.Public, "beta"},
		{"beta_" + hex, parakey.Public, "beta"},
		{"prod_" + hex, parakey.Public, "prod"},
		{"sandbox_" + hex, parakey.Public, "sandbox"},
		{"dev_" + hex, parakey.Public, "dev"},
		{"Dev_" + hex, parakey.Public, "dev"},
		{"whsec_" + hex, parakey.Webhook, ""},
		{"whsec_beta_" + hex, parakey.Webhook, ""},

		{"", parakey.Unknown, ""},
		{hex, parakey.Unknown, ""},
		{"beta", parakey.Unknown, ""},
		{"beta-" + hex, parakey.Unknown, ""},
		{"betamax_" + hex, parakey.Unknown, ""},
		{"my_app", parakey.Unknown, ""},
		{"task_1", parakey.Unknown, ""},
		{id + "0", parakey.Unknown, ""},
		{id[:35], parakey.Unknown, ""},
		{strings.Replace(id, "-", "0", 1), parakey.Unknown, ""},
		{strings.Replace(id, "a", "g", 1), parakey.Unknown, ""},
		{"{" + id[1:35] + "}", parakey.Unknown, ""},
	} {
		if got := parakey.KindOf(c.value); got != c.kind {
			t.Errorf("KindOf(%q) = %v, want %v", c.value, got, c.kind)
		}
		if got := parakey.Environment(c.value); got != c.environment {
			t.Errorf("Environment(%q) = %q, want %q", c.value, got, c.environment)
		}
	}
}

func TestCheckIDRefusesKeysWithoutRepeatingThem(t *testing.T) {
	for value, kind := range map[string]string{
		"sk_4f9c0f7ad1":      "secret API key",
		"sk_beta_4f9c0f7ad1": "secret API key",
		"pk_4f9c0f7ad1":      "publishable API key",
		"beta_4f9c0f7ad1":    "publishable API key",
		"whsec_4f9c0f7ad1":   "webhook secret",
	} {
		err := parakey.CheckID(value)
		if err == nil {
			t.Errorf("CheckID(%q) accepts it", value)
			continue
		}
		if text := err.Error(); !strings.Contains(text, kind) ||
			!strings.Contains(text, "use the API key ID") || strings.Contains(text, "4f9c0f7ad1") {
			t.Errorf("CheckID(%q): %v", value, err)
		}
	}
	for _, value := range []string{id, strings.ToUpper(id), "4f9c0f7ad1", "my_app"} {
		if err := parakey.CheckID(value); err != nil {
			t.Errorf("CheckID(%q): %v", value, err)
		}
	}
}

func TestCheckKey(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	for _, c := range []struct {
		value       string
		kind        parakey.Kind
		environment string
		want        string // in the error; "" accepts
	}{
		{key, parakey.Secret, "prod", ""},
		{key, parakey.Public, "prod", ""},
		{"sk_" + key, parakey.Secret, "prod", ""},
		{"pk_" + key, parakey.Public, "prod", ""},
		{"beta_" + key, parakey.Secret, "beta", ""},
		{"beta_" + key, parakey.Public, "beta", ""},
		{"beta_" + key, parakey.Public, "", ""},
		{strings.Repeat("a", 1024), parakey.Secret, "", ""},

		{"SK_" + key, parakey.Public, "prod", "is a secret API key: set the publishable API key"},
		{"pk_" + key, parakey.Secret, "prod", "is a publishable API key: set the secret API key"},
		{"whsec_" + key, parakey.Secret, "", "is a webhook secret"},
		{"whsec_" + key, parakey.Public, "", "is a webhook secret"},
		{"BETA_" + key, parakey.Public, "prod", "is a key of beta, and Environment is prod"},
		{"sk_beta_" + key, parakey.Secret, "prod", "is a key of beta, and Environment is prod"},
		{key + "\n", parakey.Secret, "", "has white space"},
		{key + "é", parakey.Secret, "", "other characters"},
		{strings.Repeat("a", 1025), parakey.Secret, "", "other characters"},
	} {
		err := parakey.CheckKey(c.value, c.kind, c.environment)
		switch {
		case (err == nil) != (c.want == ""):
			t.Errorf("CheckKey(%q, %v, %q) = %v", c.value, c.kind, c.environment, err)
		case err != nil && (!strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), key)):
			t.Errorf("CheckKey(%q, %v, %q): %v", c.value, c.kind, c.environment, err)
		}
	}
}

func TestNormalizeID(t *testing.T) {
	for value, want := range map[string]string{
		id: id, strings.ToUpper(id): id, "My-App": "My-App", "": "",
	} {
		if got := parakey.NormalizeID(value); got != want {
			t.Errorf("NormalizeID(%q) = %q, want %q", value, got, want)
		}
		if got, want := parakey.IsID(value), len(value) == 36; got != want {
			t.Errorf("IsID(%q) = %v", value, got)
		}
	}
}
