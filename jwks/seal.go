package jwks

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/parajwt/parajwt/internal/jose"
)

const (
	// sealPrefix begins a sealed snapshot. The HMAC in base64url, a line feed
	// and the snapshot follow.
	sealPrefix     = "parajwt-sealed-v1 "
	minSecretBytes = 32
)

var (
	errNotSealed = errors.New("snapshot is not sealed: use FromBytes, or seal it first")
	errWrongSeal = errors.New("sealed snapshot was changed, or was sealed with another secret")
)

// Seal authenticates a snapshot, so that it can be stored where others can
// write, such as a shared cache. [Sealed] opens it. The HMAC-SHA256 (RFC 2104)
// covers the whole snapshot: environment, URL, time and keys. The secret must
// have at least 32 random bytes.
//
// Seal does not encrypt the keys, which are public. It does not prevent the
// replay of an old sealed snapshot, whose age counts towards Config.StaleLimit.
//
// Seal returns an error if the secret is too short, or if snapshot is not the
// result of [Cache.Snapshot].
func Seal(snapshot, secret []byte) ([]byte, error) {
	if err := checkSecret(secret); err != nil {
		return nil, fmt.Errorf("jwks: Seal: %w", err)
	}
	if _, _, _, err := (Source{data: snapshot}).read(jose.Algorithms()); err != nil {
		return nil, fmt.Errorf("jwks: Seal: %w", err)
	}
	mac := base64.RawURLEncoding.EncodeToString(sealMAC(snapshot, secret))
	return append([]byte(sealPrefix+mac+"\n"), snapshot...), nil
}

// Sealed returns the key set of a snapshot that was sealed with the same
// secret. It retains neither argument. [New] returns an error if data was not
// sealed, was changed, or was sealed with another secret.
func Sealed(data, secret []byte) Source {
	if err := checkSecret(secret); err != nil {
		return Source{err: err}
	}
	rest, ok := bytes.CutPrefix(data, []byte(sealPrefix))
	if !ok {
		return Source{err: errNotSealed}
	}
	encoded, snapshot, _ := bytes.Cut(rest, []byte("\n"))
	mac, err := jose.AppendDecoded(nil, string(encoded))
	if err != nil || !hmac.Equal(mac, sealMAC(snapshot, secret)) {
		return Source{err: errWrongSeal}
	}
	return FromBytes(snapshot)
}

func checkSecret(secret []byte) error {
	if len(secret) < minSecretBytes {
		return fmt.Errorf("secret of a sealed snapshot has %d bytes: "+
			"use at least %d random bytes", len(secret), minSecretBytes)
	}
	return nil
}

func sealMAC(snapshot, secret []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(sealPrefix)) // separates this use of the secret from others
	h.Write(snapshot)
	return h.Sum(nil)
}
