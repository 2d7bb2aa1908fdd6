package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
)

// Verify returns nil if signature is a signature of input by this key, and
// ErrSignature otherwise. It retains neither argument. It is safe for
// concurrent use by multiple goroutines.
func (k *Key) Verify(input, signature []byte) error {
	// The length is part of every format: RFC 8017 §8.1.2 and §8.2.2 for RSA,
	// RFC 7518 §3.4 for ECDSA, RFC 8032 §5.1.7 for Ed25519.
	if len(signature) != k.size || !k.verify(input, signature) {
		return ErrSignature
	}
	return nil
}

// verify reports whether signature, which has the right length, is valid.
func (k *Key) verify(input, signature []byte) bool {
	switch k.Algorithm {
	case "RS256", "ES256", "PS256":
		digest := sha256.Sum256(input)
		return k.verifyDigest(crypto.SHA256, digest[:], signature)
	case "RS384", "ES384", "PS384":
		digest := sha512.Sum384(input)
		return k.verifyDigest(crypto.SHA384, digest[:], signature)
	case "RS512", "ES512", "PS512":
		digest := sha512.Sum512(input)
		return k.verifyDigest(crypto.SHA512, digest[:], signature)
	case "EdDSA":
		public, ok := k.Public.(ed25519.PublicKey)
		return ok && ed25519.Verify(public, input, signature)
	}
	return false
}

func (k *Key) verifyDigest(hash crypto.Hash, digest, signature []byte) bool {
	switch public := k.Public.(type) {
	case *rsa.PublicKey:
		if k.Algorithm[0] == 'P' {
			// The salt is as long as the digest (RFC 7518 §3.5).
			options := rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
			return rsa.VerifyPSS(public, hash, digest, signature, &options) == nil
		}
		return rsa.VerifyPKCS1v15(public, hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		var buf [maxECDSADER]byte
		return ecdsa.VerifyASN1(public, digest, appendECDSADER(buf[:0], signature))
	}
	return false
}

// maxECDSADER is the length of the longest DER encoding of a P-521 signature:
// a three-byte header, and two integers of 66 bytes with two-byte headers. The
// integers need no sign byte, because P-521's order has 521 bits of 528.
const maxECDSADER = 3 + 2*(2+66)

// appendECDSADER appends to dst the DER encoding of an ECDSA signature that is
// given as the concatenation of r and s (RFC 7518 §3.4). ecdsa.VerifyASN1
// takes DER only. It refuses numbers below 1 or above n-1 (FIPS 186-5 §6.4.2).
func appendECDSADER(dst, signature []byte) []byte {
	r, s := signature[:len(signature)/2], signature[len(signature)/2:]
	r, s = trimZeros(r), trimZeros(s)
	length := derIntegerSize(r) + derIntegerSize(s)
	dst = append(dst, 0x30) // SEQUENCE
	if length >= 0x80 {
		dst = append(dst, 0x81)
	}
	dst = append(dst, byte(length))
	return appendDERInteger(appendDERInteger(dst, r), s)
}

// trimZeros returns the minimal big-endian form of a number. That of 0 is
// empty.
func trimZeros(number []byte) []byte {
	for len(number) > 0 && number[0] == 0 {
		number = number[1:]
	}
	return number
}

// derIntegerSize returns the size of the encoding of appendDERInteger.
func derIntegerSize(number []byte) int {
	size := 2 + len(number)
	if len(number) == 0 || number[0] >= 0x80 {
		size++
	}
	return size
}

// appendDERInteger appends a DER INTEGER of fewer than 127 bytes, which is
// number, without leading zeros.
func appendDERInteger(dst, number []byte) []byte {
	dst = append(dst, 0x02, byte(derIntegerSize(number)-2))
	if len(number) == 0 || number[0] >= 0x80 {
		dst = append(dst, 0)
	}
	return append(dst, number...)
}
