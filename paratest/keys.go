package paratest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

type key struct {
	id, alg string
	private crypto.Signer
}

// rsaKeys holds the RSA keys of the process that no Para uses. Generating a key
// takes about 0.1 seconds. Paras that run at the same time have different keys,
// and each Para has new key IDs.
var rsaKeys keyPool

type keyPool struct {
	mu   sync.Mutex
	free []crypto.Signer
}

// get removes n keys from the pool. It generates those that are missing.
func (p *keyPool) get(n int) ([]crypto.Signer, error) {
	p.mu.Lock()
	have := min(n, len(p.free))
	keys := slices.Clone(p.free[:have])
	p.free = slices.Delete(p.free, 0, have)
	p.mu.Unlock()

	keys = append(keys, make([]crypto.Signer, n-have)...)
	errs := make([]error, n)
	var work sync.WaitGroup
	for i := have; i < n; i++ {
		work.Go(func() { keys[i], errs[i] = rsa.GenerateKey(rand.Reader, 2048) })
	}
	work.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("paratest: %w", err)
	}
	return keys, nil
}

func (p *keyPool) put(keys ...crypto.Signer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, keys...)
}

// borrow takes n keys from the pool until returnKeys is called.
func (p *Para) borrow(n int) ([]key, error) {
	signers, err := rsaKeys.get(n)
	if err != nil {
		return nil, err
	}
	keys := make([]key, n)
	for i, private := range signers {
		keys[i] = key{id: rand.Text(), alg: "RS256", private: private}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.borrowed = append(p.borrowed, keys...)
	return keys, nil
}

func (p *Para) mustBorrow() key {
	keys, err := p.borrow(1)
	if err != nil {
		panic(err)
	}
	return keys[0]
}

// returnKeys returns the borrowed keys to the pool, except those that
// Config.KeyFile keeps.
func (p *Para) returnKeys() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cfg.KeyFile == "" {
		for _, k := range p.borrowed {
			rsaKeys.put(k.private)
		}
	}
	p.borrowed = nil
}

// firstKeys loads the keys of Config.KeyFile, or publishes two new ones.
func (p *Para) firstKeys() error {
	if p.cfg.KeyFile != "" {
		err := p.load()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("paratest: key file %s: %w", p.cfg.KeyFile, err)
		}
		if len(p.all) > 0 {
			return nil
		}
	}
	keys, err := p.borrow(2)
	if err != nil {
		return err
	}
	p.all, p.published = keys, slices.Clone(keys)
	p.save()
	return p.saveErr
}

// current returns the newest published key, or the newest key if none is
// published. The caller holds mu.
func (p *Para) current() key {
	if len(p.published) > 0 {
		return p.published[len(p.published)-1]
	}
	return p.all[len(p.all)-1]
}

// KeyIDs returns the IDs of the published keys. The last one is the key that
// signs tokens.
func (p *Para) KeyIDs() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []string
	for _, k := range p.published {
		ids = append(ids, k.id)
	}
	return ids
}

// Algorithm returns the signature algorithm of a key, "RS256" or "ES256". It
// returns "" if this Para never had a key with this ID.
func (p *Para) Algorithm(keyID string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.all {
		if k.id == keyID {
			return k.alg
		}
	}
	return ""
}

// Rotate publishes a new RSA key, which signs tokens from now on, and returns
// its ID. Older keys remain published until they are withdrawn.
func (p *Para) Rotate() string { return p.publish(p.mustBorrow()) }

// RotateES256 is like Rotate with an elliptic-curve key.
func (p *Para) RotateES256() string {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("paratest: " + err.Error())
	}
	return p.publish(key{id: rand.Text(), alg: "ES256", private: private})
}

func (p *Para) publish(k key) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all, p.published = append(p.all, k), append(p.published, k)
	p.save()
	return k.id
}

// Withdraw removes keys from the published set. Tokens are then signed with the
// newest published key, or with the newest key if none is published. An unknown
// ID has no effect.
func (p *Para) Withdraw(keyIDs ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published = slices.DeleteFunc(p.published, func(k key) bool {
		return slices.Contains(keyIDs, k.id)
	})
	p.save()
}

func (p *Para) serveKeys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	keys := make([]map[string]string, 0, len(p.published))
	for _, k := range p.published {
		keys = append(keys, jwk(k))
	}
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"keys": keys})
}

// jwk returns the public half of a key as a JWK (RFC 7518 §6).
func jwk(k key) map[string]string {
	number := func(n *big.Int) string { return b64.EncodeToString(n.Bytes()) }
	m := map[string]string{"kid": k.id, "alg": k.alg, "use": "sig"}
	switch public := k.private.Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", number(public.N), number(big.NewInt(int64(public.E)))
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic("paratest: " + err.Error())
		}
		m["kty"], m["crv"] = "EC", "P-256"
		m["x"], m["y"] = b64.EncodeToString(point[1:33]), b64.EncodeToString(point[33:])
	}
	return m
}

// keyFile is the content of Config.KeyFile.
type keyFile struct {
	Comment      string      `json:"comment"`
	APIKey       string      `json:"apiKey"`
	SecretAPIKey string      `json:"secretApiKey"`
	Keys         []storedKey `json:"keys"` // the published keys, the current one last
}

type storedKey struct {
	ID        string `json:"kid"`
	Algorithm string `json:"alg"`
	PKCS8     []byte `json:"pkcs8"` // RFC 5208
}

const keyFileComment = "Private keys of a local Para emulator (parajwt serve). " +
	"For development only."

// load reads Config.KeyFile. Only Start calls it.
func (p *Para) load() error {
	data, err := os.ReadFile(p.cfg.KeyFile)
	if err != nil {
		return err
	}
	var file keyFile
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields() // so that save never overwrites an unrelated file
	if d.Decode(&file) != nil || file.APIKey == "" || file.SecretAPIKey == "" {
		return errors.New("the content was not written by this program: name another file")
	}
	for _, stored := range file.Keys {
		private, err := x509.ParsePKCS8PrivateKey(stored.PKCS8)
		if err != nil {
			return fmt.Errorf("key %.40q cannot be read", stored.ID)
		}
		k := key{id: stored.ID, alg: stored.Algorithm}
		switch private := private.(type) {
		case *rsa.PrivateKey:
			if k.alg == "RS256" {
				k.private = private
			}
		case *ecdsa.PrivateKey:
			if k.alg == "ES256" && private.Curve == elliptic.P256() {
				k.private = private
			}
		}
		if k.id == "" || k.private == nil {
			return fmt.Errorf("key %.40q does not fit its algorithm %.10q",
				stored.ID, stored.Algorithm)
		}
		p.all = append(p.all, k)
	}
	p.published = slices.Clone(p.all)
	p.logins.apiKey, p.logins.secretAPIKey = file.APIKey, file.SecretAPIKey
	return nil
}

// save writes Config.KeyFile. The caller holds mu, or is Start. The file is
// replaced atomically, so a crash leaves the old or the new one.
func (p *Para) save() {
	if p.cfg.KeyFile == "" {
		return
	}
	file := keyFile{
		Comment: keyFileComment, APIKey: p.logins.apiKey, SecretAPIKey: p.logins.secretAPIKey,
	}
	for _, k := range p.published {
		der, err := x509.MarshalPKCS8PrivateKey(k.private)
		if err != nil {
			p.saveErr = fmt.Errorf("paratest: key file: %w", err)
			return
		}
		file.Keys = append(file.Keys, storedKey{k.id, k.alg, der})
	}
	if err := replaceFile(p.cfg.KeyFile, marshal(file)); err != nil {
		p.saveErr = fmt.Errorf("paratest: key file: %w", err)
		return
	}
	p.saveErr = nil
}

// replaceFile writes a file with mode 0600.
func replaceFile(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".paratest-*") // its mode is 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
