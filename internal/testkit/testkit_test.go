package testkit_test

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/parajwt/parajwt/internal/testkit"
)

// If the leak check missed a form, the tests that use it would pass despite a
// leak.
func TestLeaksFindsEveryForm(t *testing.T) {
	const secret = "canary"
	for name, text := range map[string]string{
		"plain":    "x canary x",
		"any case": "CanARY",
		"hex":      hex.EncodeToString([]byte(secret)),
		"HEX":      fmt.Sprintf("%X", secret),
		"base64":   base64.StdEncoding.EncodeToString([]byte(secret)),
		"bytes":    fmt.Sprint([]byte(secret)),
		"% x":      fmt.Sprintf("% x", secret),
	} {
		if testkit.Leaks(text, "other", secret) == nil {
			t.Errorf("%s: not found in %q", name, text)
		}
	}
	if found := testkit.Leaks("a can of paint, ary", secret); found != nil {
		t.Errorf("found %q", found)
	}
}

// The tests need keys that differ from each other and stay the same during the
// process.
func TestKeysAreMadeOnce(t *testing.T) {
	first, again, other := testkit.RSA(0), testkit.RSA(0).Named("x"), testkit.RSA(1)
	if !first.Private.(*rsa.PrivateKey).Equal(again.Private) ||
		first.Private.(*rsa.PrivateKey).Equal(other.Private) {
		t.Error("the RSA keys are not one per index")
	}
	if again.ID != "x" || first.ID != "rsa0" {
		t.Errorf("got %q and %q", again.ID, first.ID)
	}
	if !testkit.EC(0).Private.(*ecdsa.PrivateKey).Equal(testkit.EC(0).Private) ||
		testkit.EC(0).Private.(*ecdsa.PrivateKey).Equal(testkit.EC(1).Private) {
		t.Error("the EC keys are not one per index")
	}
}

func TestLogTakesLinesOnce(t *testing.T) {
	var log testkit.Log
	log.Logger().Debug("first", "n", 1)
	log.Logger().Error("second")
	if lines := log.With("sec"); len(lines) != 1 || lines[0]["level"] != "ERROR" {
		t.Errorf("With: %v", lines)
	}
	if lines := log.Take(); len(lines) != 2 || lines[0]["n"] != 1.0 {
		t.Errorf("Take: %v", lines)
	}
	if lines := log.Take(); lines != nil {
		t.Errorf("Take again: %v", lines)
	}
}
