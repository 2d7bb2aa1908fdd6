package paratest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"time"

	"github.com/parajwt/parajwt/claims"
)

// draft is a token that is not signed yet.
type draft struct {
	header  map[string]any
	payload map[string]any
	data    map[string]any
	signer  key
	spoil   bool
}

// TokenOption changes a token before it is signed.
type TokenOption func(p *Para, d *draft)

// Expired makes a token that expired an hour ago.
func Expired() TokenOption { return Lived(-90*time.Minute, 30*time.Minute) }

// Lived makes a token that is issued at now + issued and expires after life. A
// negative issued is in the past. A long life is for tests of
// middleware.Config.MaxTokenLife.
func Lived(issued, life time.Duration) TokenOption {
	return func(p *Para, d *draft) {
		iat := p.now().Add(issued)
		d.payload["iat"], d.payload["exp"] = iat.Unix(), iat.Add(life).Unix()
	}
}

// ForApp makes a token for the app with this API key ID.
func ForApp(apiKeyID string) TokenOption {
	return func(_ *Para, d *draft) { d.payload["aud"] = apiKeyID }
}

// OtherEnvironment makes a token that another Para environment signed with its
// key.
func OtherEnvironment() TokenOption {
	return func(p *Para, d *draft) { p.signWith(d, p.elsewhere()) }
}

// OtherEnvironmentSameKeyID makes a token that another Para environment signed
// with a key whose ID equals that of this Para's current key.
func OtherEnvironmentSameKeyID() TokenOption {
	return func(p *Para, d *draft) { d.signer = p.elsewhere() }
}

// UnknownKey makes a token with this key ID in its header, signed with the
// current key. Use an ID that was never published.
func UnknownKey(keyID string) TokenOption {
	return func(_ *Para, d *draft) { d.header["kid"] = keyID }
}

// BadSignature makes a token with an invalid signature.
func BadSignature() TokenOption {
	return func(_ *Para, d *draft) { d.spoil = true }
}

// SignedBy makes a token signed with the key of this ID, even if the key was
// withdrawn. An unknown ID has no effect.
func SignedBy(keyID string) TokenOption {
	return func(p *Para, d *draft) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, k := range p.all {
			if k.id == keyID {
				p.signWith(d, k)
			}
		}
	}
}

// With sets a top-level claim, such as aud. A nil value removes it.
func With(claim string, value any) TokenOption {
	return func(_ *Para, d *draft) { set(d.payload, claim, value) }
}

// WithData sets a member of the claim data. A nil value removes it.
func WithData(claim string, value any) TokenOption {
	return func(_ *Para, d *draft) { set(d.data, claim, value) }
}

// WithHeader sets a header parameter. A nil value removes it.
func WithHeader(name string, value any) TokenOption {
	return func(_ *Para, d *draft) { set(d.header, name, value) }
}

func set(m map[string]any, name string, value any) {
	if m[name] = value; value == nil {
		delete(m, name)
	}
}

func (p *Para) signWith(d *draft, k key) {
	d.signer = k
	d.header["alg"], d.header["kid"] = k.alg, k.id
}

// Token returns a token for a user, in the form of Para's issueJwt. It is
// issued now for [Para.APIKeyID], expires after 30 minutes, and is signed with
// the current key. Options change that, and apply in order. Token ignores the
// user's time and key fields. It panics if an option's value has no JSON
// encoding.
func (p *Para) Token(user *claims.Claims, opts ...TokenOption) string {
	now := p.now()
	d := draft{
		header: map[string]any{"typ": "JWT"},
		payload: map[string]any{
			"sub": user.UserID, "aud": p.APIKeyID(),
			"iat": now.Unix(), "exp": now.Add(30 * time.Minute).Unix(),
		},
		data: dataOf(user),
	}
	p.mu.Lock()
	p.signWith(&d, p.current())
	p.mu.Unlock()
	for _, opt := range opts {
		opt(p, &d)
	}
	d.payload["data"] = d.data
	token := sign(d.signer, marshal(d.header), marshal(d.payload))
	if d.spoil {
		// Do not change the last character, because some of its bits are
		// padding.
		at := len(token) - 10
		other := byte('A')
		if token[at] == 'A' {
			other = 'B'
		}
		token = token[:at] + string(other) + token[at+1:]
	}
	return token
}

// SignRaw signs a header and a payload with the current key, without checking
// or changing them. It is for tokens that Para would never issue.
func (p *Para) SignRaw(header, payload string) string {
	p.mu.Lock()
	k := p.current()
	p.mu.Unlock()
	return sign(k, []byte(header), []byte(payload))
}

func dataOf(u *claims.Claims) map[string]any {
	data := map[string]any{
		"userId": u.UserID, "wallets": u.Wallets, "authType": u.AuthType,
		"identifier": u.Identifier,
	}
	if u.Wallets == nil {
		data["wallets"] = []claims.Wallet{}
	}
	optional := map[string]string{
		"oAuthMethod": string(u.OAuthMethod), "email": u.Email, "phone": u.Phone,
		"telegramUserId": u.TelegramUserID, "farcasterUsername": u.FarcasterUsername,
		"externalWalletAddress": u.ExternalWalletAddress,
	}
	maps.DeleteFunc(optional, func(_, v string) bool { return v == "" })
	for name, value := range optional {
		data[name] = value
	}
	if u.ExternalWallet != (claims.ExternalWallet{}) {
		data["externalWallet"] = u.ExternalWallet
	}
	if u.ConnectedWallets != nil {
		data["connectedWallets"] = u.ConnectedWallets
	}
	return data
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("paratest: a value has no JSON encoding: " + err.Error())
	}
	return b
}

var b64 = base64.RawURLEncoding

// sign returns a compact JWS (RFC 7515 §7.1).
func sign(k key, header, payload []byte) string {
	input := b64.EncodeToString(header) + "." + b64.EncodeToString(payload)
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	var err error
	switch private := k.private.(type) {
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		r, s, e := ecdsa.Sign(rand.Reader, private, digest[:])
		if err = e; err == nil {
			signature = make([]byte, 64) // RFC 7518 §3.4
			r.FillBytes(signature[:32])
			s.FillBytes(signature[32:])
		}
	}
	if err != nil {
		panic("paratest: " + err.Error())
	}
	return input + "." + b64.EncodeToString(signature)
}
