//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/session"
)

// users returns one user of each kind. They have different IDs.
func users() map[string]*claims.Claims {
	all := paratest.Users()
	for i, kind := range slices.Sorted(maps.Keys(all)) {
		all[kind].UserID = strings.Replace(paratest.UserID, "d535821", "d535820", 1)[:35] + string(
			rune('0'+i),
		)
		all[kind].Subject = all[kind].UserID
	}
	return all
}

func sameWallets(got []session.ClaimedWallet, want []claims.Wallet) bool {
	return len(got) == len(want) && !slices.ContainsFunc(want, func(w claims.Wallet) bool {
		return !slices.ContainsFunc(got, func(g session.ClaimedWallet) bool {
			return claims.Wallet{
				ID:        g.ID,
				Type:      g.Type,
				Address:   g.Address,
				PublicKey: g.PublicKey,
			} == w
		})
	})
}

// TestSDKSessionsInGo uses sessions of every kind of user in Para's SDK, at the
// same time, and the tokens and exports of the SDK in Go.
func TestSDKSessionsInGo(t *testing.T) {
	para := newLab(t)
	c, routers := para.client(t), para.routers(t)
	logins, exported := map[string]*paratest.Session{}, map[string]string{}
	for kind, user := range users() {
		logins[kind] = para.Login(user)
		logins[kind].RefreshCookie()
		exported[kind] = logins[kind].Exported()
	}
	for kind, got := range node(t, para.APIKey(), exported) {
		want := users()[kind]
		if !get[bool](t, got, "isSessionActive") || !get[bool](t, got, "keepSessionAlive") {
			t.Errorf("%s: not active, or not kept alive", kind)
		}
		if id := get[string](t, got, "getUserId"); id != want.UserID {
			t.Errorf("%s: user ID is %s", kind, id)
		}
		if id := get[string](t, got, "findWalletId"); id != want.Wallets[0].ID {
			t.Errorf("%s: wallet is %s", kind, id)
		}
		if id := get[struct{ ID string }](t, got, "partner").ID; id != paratest.PartnerID {
			t.Errorf("%s: partner is %s", kind, id)
		}

		// The three routers accept its JWTs.
		for _, call := range []string{"issueJwt", "issueSecondJwt"} {
			jwt := get[struct{ Token, KeyID string }](t, got, call)
			for router, url := range routers {
				status, user := ask(t, url, "Authorization", "Bearer "+jwt.Token)
				if status != http.StatusOK || user.UserID != want.UserID ||
					user.Identifier != want.Identifier ||
					user.KeyID != jwt.KeyID ||
					!reflect.DeepEqual(user.Wallets, want.Wallets) {
					t.Errorf("%s: %s: %s answered %d with %v", kind, call, router, status, user)
				}
			}
		}

		// Para's endpoint and the three routers accept its verification token.
		token := get[string](t, got, "getVerificationToken")
		if id, err := c.VerifyToken(t.Context(), token); err != nil ||
			id.AuthType != want.AuthType ||
			id.Identifier != want.Identifier ||
			id.OAuthMethod != want.OAuthMethod {
			t.Errorf("%s: %v, %v", kind, id, err)
		}
		for router, url := range routers {
			status, user := ask(t, url, tokenHeader, token)
			if status != http.StatusOK || user.AuthType != want.AuthType ||
				user.Identifier != want.Identifier ||
				user.UserID != "" {
				t.Errorf("%s: %s answered %d with %v", kind, router, status, user)
			}
		}

		// Go imports its exports.
		for _, call := range []string{"exportSession", "exportSessionWithoutSigners"} {
			text := get[string](t, got, call)
			if decoded(t, text)["sessionCookie"] == decoded(t, exported[kind])["sessionCookie"] {
				t.Errorf("%s: Para's SDK did not adopt a refreshed cookie", kind)
			}
			s := importSession(t, c, text)
			if active, err := s.IsActive(t.Context()); !active || err != nil {
				t.Errorf("%s: %s: active %v, %v", kind, call, active, err)
			}
			if s.UserID() != want.UserID || s.AuthType() != want.AuthType ||
				s.Identifier() != want.Identifier ||
				!sameWallets(s.Wallets(), want.Wallets) ||
				s.CurrentWallets()[0].ID != want.Wallets[0].ID {
				t.Errorf("%s: %s: %v", kind, call, s)
			}
			if s.SignersDropped() != (call == "exportSession") {
				t.Errorf("%s: %s: SignersDropped is %v", kind, call, s.SignersDropped())
			}
			if mode := get[string](t, got, "externalWalletConnectionType"); string(
				s.Mode(),
			) != mode {
				t.Errorf("%s: mode is %s, and to Para's SDK %s", kind, s.Mode(), mode)
			}
		}
	}
}

// TestGoSessionsInSDK uses sessions of every kind of user in Go, and Go's
// exports in Para's SDK.
func TestGoSessionsInSDK(t *testing.T) {
	para := newLab(t)
	c := para.client(t)
	exported, logins := map[string]string{}, map[string]*paratest.Session{}
	for kind, user := range users() {
		for name, opts := range map[string][]session.ImportOption{" without signers": nil,
			" with signers": {session.KeepSignersThisServerCannotUse()}} {
			login := para.Login(user)
			logins[kind+name] = login
			s := importSession(t, c, login.Exported(), opts...)
			login.RefreshCookie()
			if active, err := s.IsActive(t.Context()); !active || err != nil {
				t.Fatal(active, err)
			}
			if err := s.KeepAlive(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.IssueJWT(t.Context()); err != nil {
				t.Fatal(err)
			}
			token, err := s.VerificationToken(t.Context())
			if err != nil || token.Reveal() != login.VerificationToken() {
				t.Fatal(err)
			}
			if id, err := c.VerifyWallet(t.Context(), s.Wallets()[0].Address); err != nil ||
				id != s.Wallets()[0].ID {
				t.Fatal(id, err)
			}
			exported[kind+name] = s.Export()
		}
	}
	for name, got := range node(t, para.APIKey(), exported) {
		kind, _, _ := strings.Cut(name, " with")
		want := users()[kind]
		if !get[bool](t, got, "isSessionActive") || !get[bool](t, got, "keepSessionAlive") ||
			get[string](t, got, "findWalletId") != want.Wallets[0].ID ||
			get[string](t, got, "getUserId") != want.UserID ||
			get[string](t, got, "getVerificationToken") != logins[name].VerificationToken() {
			t.Errorf("%s: %s", name, got["isSessionActive"].Value)
		}
		if info := get[struct {
			AuthType   claims.AuthType
			Identifier string
		}](t, got, "getAuthInfo"); info.AuthType != want.AuthType ||
			info.Identifier != want.Identifier {
			t.Errorf("%s: authInfo is %v", name, info)
		}
		get[any](t, got, "issueJwt")

		// Go's export of the SDK's export has all members that the client sent.
		// Only the key shares are missing if they were excluded.
		without := strings.HasSuffix(name, "without signers")
		original, back := decoded(
			t,
			logins[name].Exported(),
		), decoded(
			t,
			get[string](t, got, "exportSession"),
		)
		if without {
			original = decoded(t, logins[name].ExportedWithoutSigners())
		}
		for _, member := range []string{"userId", "currentWalletIds"} {
			if !reflect.DeepEqual(back[member], original[member]) {
				t.Errorf("%s: %s is %v, want %v", name, member, back[member], original[member])
			}
		}
		for id, w := range original["wallets"].(map[string]any) {
			for member, value := range w.(map[string]any) {
				got := back["wallets"].(map[string]any)[id].(map[string]any)[member]
				if got != value && value != false && value != nil {
					t.Errorf("%s: %s of a wallet is %v, want %v", name, member, got, value)
				}
			}
			if without && back["wallets"].(map[string]any)[id].(map[string]any)["signer"] != nil {
				t.Errorf("%s: the export contains a key share", name)
			}
		}
	}
}

func TestAnExpiredSession(t *testing.T) {
	para := newLab(t)
	c, routers := para.client(t), para.routers(t)
	login := para.Login(paratest.EmailUser())
	exported := login.Exported()
	login.Expire()

	got := node1(t, para.APIKey(), exported)
	if get[bool](t, got, "isSessionActive") || get[bool](t, got, "keepSessionAlive") {
		t.Error("active in Para's SDK")
	}
	if status := got["issueJwt"].Status; status != http.StatusUnauthorized &&
		status != http.StatusForbidden {
		t.Errorf("issueJwt: %+v", got["issueJwt"])
	}

	s := importSession(t, c, exported)
	if active, err := s.IsActive(t.Context()); active || err != nil {
		t.Errorf("active %v, %v", active, err)
	}
	if err := s.KeepAlive(t.Context()); !errors.Is(err, session.ErrSessionExpired) {
		t.Error(err)
	}
	if _, err := s.IssueJWT(t.Context()); !errors.Is(err, session.ErrSessionExpired) {
		t.Error(err)
	}
	if _, err := c.VerifyToken(t.Context(), login.VerificationToken()); !errors.Is(
		err,
		session.ErrSessionExpired,
	) {
		t.Error(err)
	}
	for router, url := range routers {
		status, _ := ask(t, url, tokenHeader, login.VerificationToken())
		if status != http.StatusUnauthorized {
			t.Errorf("%s answered %d", router, status)
		}
	}
}

func TestAWrongAPIKey(t *testing.T) {
	para := newLab(t)
	login := para.Login(paratest.EmailUser())
	wrong := "dev_" + strings.Repeat("0", 32)
	got := node1(t, wrong, login.Exported())
	for _, call := range []string{"isSessionActive", "getVerificationToken"} {
		if got[call].Error != "Invalid API Key." {
			t.Errorf("%s: %+v", call, got[call])
		}
	}
	c, err := session.New(
		session.Config{
			Environment:  environment,
			APIKey:       wrong,
			SecretAPIKey: session.NewSecret("sk_" + wrong),
			Logger:       quiet,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	if active, err := importSession(t, c, login.Exported()).IsActive(t.Context()); active ||
		!errors.Is(err, session.ErrUnauthorizedKey) {
		t.Errorf("active %v, %v", active, err)
	}
	if err := importSession(t, c, login.Exported()).KeepAlive(t.Context()); !errors.Is(
		err,
		session.ErrUnauthorizedKey,
	) {
		t.Error(err)
	}
	if _, err := c.VerifyToken(t.Context(), login.VerificationToken()); !errors.Is(
		err,
		session.ErrUnauthorizedKey,
	) {
		t.Error(err)
	}
}

// Go and the SDK read the same mode from an export, and agree on whether the
// session is active.
func TestExternalWalletModes(t *testing.T) {
	para := newLab(t)
	c := para.client(t)
	user := paratest.ExternalWalletUser()
	verified := para.Login(user, paratest.Verification())
	verified.VerifyExternalWallet(user.Identifier)
	half := paratest.ExternalWalletUser()
	half.ConnectedWallets = append(
		half.ConnectedWallets,
		claims.ConnectedWallet{
			Type:    claims.WalletEVM,
			Address: "0x1111111111111111111111111111111111111111",
		},
	)
	halfVerified := para.Login(half, paratest.Verification())
	halfVerified.VerifyExternalWallet(user.Identifier)
	want := map[string]struct {
		mode   session.Mode
		active bool // in Go; in Para's SDK, connection-only sessions are active, too
	}{
		"authenticated": {session.ModeAuthenticated, true},
		"not verified":  {session.ModeVerification, false},
		"half verified": {session.ModeVerification, false},
		"verified":      {session.ModeVerification, true},
		"connected":     {session.ModeConnectionOnly, false},
		"email":         {session.ModeNone, true},
	}
	exported := map[string]string{
		"authenticated": para.Login(user).Exported(),
		"not verified":  para.Login(user, paratest.Verification()).Exported(),
		"half verified": halfVerified.Exported(),
		"verified":      verified.Exported(),
		"connected":     para.Login(user, paratest.ConnectionOnly()).Exported(),
		"email":         para.Login(paratest.EmailUser()).Exported(),
	}
	played := node(t, para.APIKey(), exported)
	for name, want := range want {
		s := importSession(t, c, exported[name])
		active, err := s.IsActive(t.Context())
		theirs, theirMode := get[bool](
			t,
			played[name],
			"isSessionActive",
		), get[session.Mode](
			t,
			played[name],
			"externalWalletConnectionType",
		)
		connected := want.mode == session.ModeConnectionOnly
		if connected != errors.Is(err, session.ErrNotLoggedIn) || !connected && err != nil ||
			active != want.active || theirs != (want.active || connected) ||
			s.Mode() != want.mode || theirMode != want.mode {
			t.Errorf(
				"%s: %s, active %v, %v; to Para's SDK %s, active %v",
				name,
				s.Mode(),
				active,
				err,
				theirMode,
				theirs,
			)
		}
	}
	// Go's exports keep the mode.
	again := map[string]string{}
	for name, e := range exported {
		again[name] = importSession(t, c, e).Export()
	}
	for name, got := range node(t, para.APIKey(), again) {
		mode := get[session.Mode](t, got, "externalWalletConnectionType")
		if mode != want[name].mode {
			t.Errorf("%s: exported by Go, it is %s", name, mode)
		}
	}
}

// Go and the SDK return an error in an outage. Only the SDK's keepSessionAlive
// returns false instead.
func TestAnOutage(t *testing.T) {
	para := newLab(t)
	login := para.Login(paratest.EmailUser())
	s := importSession(t, para.client(t), login.Exported())
	for name, outage := range map[string]func(){"500": func() { para.Fail(500) },
		"no answer": para.Down} {
		outage()
		got := node1(t, para.APIKey(), login.Exported())
		if got["isSessionActive"].Error == "" || got["issueJwt"].Error == "" {
			t.Errorf("%s: to Para's SDK: %+v", name, got["isSessionActive"])
		}
		if get[bool](t, got, "keepSessionAlive") {
			t.Errorf("%s: Para's SDK extended the session", name)
		}
		if active, err := s.IsActive(t.Context()); active ||
			!errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%s: active %v, %v", name, active, err)
		}
		if err := s.KeepAlive(t.Context()); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		para.Recover()
	}
	if active, err := s.IsActive(t.Context()); !active || err != nil {
		t.Errorf("active %v, %v afterwards", active, err)
	}
}

// The client can change any member of an export. Para's SDK trusts the user ID
// in it. Go fetches the user ID from Para.
func TestForgedExport(t *testing.T) {
	para := newLab(t)
	const victim = "11111111-1111-4111-8111-111111111111"
	changed := decoded(t, para.Login(paratest.EmailUser()).Exported())
	changed["userId"] = victim
	exported := map[string]string{}
	for name, forged := range map[string]map[string]any{
		"another user's ID on a good session": changed,
		"no session": {
			"userId": victim, "sessionCookie": "made-up", "wallets": map[string]any{},
			"currentWalletIds": map[string]any{},
			"externalWallets": map[string]any{"0xE": map[string]any{"id": "0xE", "type": "EVM",
				"address": "0xE", "isExternal": true}},
		},
	} {
		text, err := json.Marshal(forged)
		if err != nil {
			t.Fatal(err)
		}
		exported[name] = base64.StdEncoding.EncodeToString(text)
	}
	for name, got := range node(t, para.APIKey(), exported) {
		if !get[bool](t, got, "isSessionActive") || get[string](t, got, "getUserId") != victim {
			t.Errorf(
				"%s: Para's SDK now detects this: update docs/para-api.md",
				name,
			)
		}
		active, err := importSession(t, para.client(t), exported[name]).IsActive(t.Context())
		if wrong := name != "no session"; active ||
			errors.Is(err, session.ErrOtherUser) != wrong ||
			!wrong && err != nil {
			t.Errorf("%s: active %v, %v", name, active, err)
		}
	}
}

// Go and the SDK read the same identity and wallets from exports of v1 SDKs.
func TestV1Exports(t *testing.T) {
	para := newLab(t)
	c := para.client(t)
	exported := map[string]string{}
	for name, members := range map[string]string{
		"email":                 `"email":"email@example.com"`,
		"phone":                 `"phone":"3105551234","countryCode":"1"`,
		"phone, code with plus": `"phone":"3105551234","countryCode":"+1"`,
		"phone with code":       `"phone":"+13105551234"`,
		"phone twice":           `"phone":"+13105551234","countryCode":"+1"`,
		"national phone":        `"phone":"07911123456","countryCode":"44"`,
		"farcaster":             `"farcasterUsername":"f"`,
	} {
		text, err := base64.StdEncoding.DecodeString(para.Login(paratest.EmailUser()).Exported())
		if err != nil {
			t.Fatal(err)
		}
		v1 := regexp.MustCompile(`"authInfo":\{.*?"identifier":"[^"]*"\}`).
			ReplaceAllString(string(text), members)
		v1 = regexp.MustCompile(`"currentWalletIds":\{[^}]*\}`).
			ReplaceAllString(v1, `"currentWalletIds":{}`)
		if strings.Contains(v1, "authInfo") || !strings.Contains(v1, `"currentWalletIds":{}`) {
			t.Fatalf("not a v1 export: %s", v1)
		}
		exported[name] = base64.StdEncoding.EncodeToString([]byte(v1))
		exported[name+", exported by Go"] = importSession(t, c, exported[name]).Export()
	}
	for name, got := range node(t, para.APIKey(), exported) {
		s := importSession(t, c, exported[name])
		info := get[struct {
			AuthType   claims.AuthType
			Identifier string
		}](t, got, "getAuthInfo")
		if s.Identifier() != info.Identifier && !strings.HasPrefix(name, "national") ||
			info.Identifier == "" {
			t.Errorf(
				"%s: %s %q, and to Para's SDK %s %q",
				name,
				s.AuthType(),
				s.Identifier(),
				info.AuthType,
				info.Identifier,
			)
		}
		if id := get[string](t, got, "findWalletId"); s.CurrentWallets()[0].ID != id {
			t.Errorf(
				"%s: the current wallet is %s, in Para's SDK %s",
				name,
				s.CurrentWallets()[0].ID,
				id,
			)
		}
		if !get[bool](t, got, "isSessionActive") {
			t.Errorf("%s: not active", name)
		}
	}
}

// Go sends the same requests as Para's SDK does with a session. Before it
// imports a session, version 2.18.0 also sends requests without one, or with
// the anonymous session that Para returns.
func TestWireFormat(t *testing.T) {
	para := newLab(t)
	login := para.Login(paratest.EmailUser())
	s := importSession(t, para.client(t), login.Exported())
	cookie := decoded(t, login.Exported())["sessionCookie"].(string)

	node1(t, para.APIKey(), login.Exported())
	theirs, before := index(t, para.take(), cookie, para.APIKey(), "dev")
	if active, err := s.IsActive(t.Context()); !active || err != nil {
		t.Fatal(active, err)
	}
	if err := s.KeepAlive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.IssueJWT(t.Context()); err != nil {
		t.Fatal(err)
	}
	ours, none := index(t, para.take(), cookie, para.APIKey(), "2.18.0")
	const (
		firstJWT  = `POST /auth/jwt {"keyIndex":0} application/json`
		secondJWT = `POST /auth/jwt {"keyIndex":1} application/json`
		touch     = `POST /touch?regenerate=false  application/x-www-form-urlencoded`
		keepAlive = `POST /users/` + paratest.UserID +
			`/session/keep-alive  application/x-www-form-urlencoded`
		partner = `GET /partners/` + paratest.PartnerID + `  `
		logout  = `GET /logout  `
	)
	// Only the SDK fetches the partner, with the session or before.
	theirs = slices.DeleteFunc(theirs, func(r string) bool { return r == partner })
	if !slices.Equal(theirs, []string{firstJWT, secondJWT, touch, keepAlive}) {
		t.Errorf("Para's SDK sends\n%s", strings.Join(theirs, "\n"))
	}
	want := []string{logout, partner, touch}
	if sdk != "" {
		want = nil
	}
	if !slices.Equal(before, want) {
		t.Errorf("without the session, Para's SDK sends\n%s", strings.Join(before, "\n"))
	}
	if !slices.Equal(ours, []string{firstJWT, touch, keepAlive}) || none != nil {
		t.Errorf(
			"Go sends\n%s\nand without the session\n%s",
			strings.Join(ours, "\n"),
			strings.Join(none, "\n"),
		)
	}
}

// index returns requests as method, URL, body and media type, without
// duplicates: those with this session cookie, and those before the first of
// them. It checks the other headers.
func index(
	t *testing.T,
	requests []request,
	cookie, apiKey, version string,
) (with, before []string) {
	t.Helper()
	for _, r := range requests {
		for name, want := range map[string][]string{
			"X-External-Api-Key": {apiKey}, "X-Para-Version": {version},
			"X-Partner-Id": nil, "Authorization": nil, "Cookie": nil, "Origin": nil,
		} {
			if got := r.header[name]; !slices.Equal(got, want) {
				t.Errorf(
					"%s %s: header %s has %d values, or a wrong one",
					r.method,
					r.url,
					name,
					len(got),
				)
			}
		}
		line := strings.Join([]string{r.method, r.url, r.body, r.header.Get("Content-Type")}, " ")
		switch {
		case slices.Equal(r.header["X-Capsule-Sid"], []string{cookie}):
			with = append(with, line)
		case with == nil:
			before = append(before, line)
		default:
			t.Errorf("%s %s: the session cookie is missing", r.method, r.url)
		}
	}
	slices.Sort(with)
	slices.Sort(before)
	return slices.Compact(with), slices.Compact(before)
}
