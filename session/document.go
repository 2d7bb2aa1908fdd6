package session

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/parajwt/parajwt/internal/strictjson"
)

// kind is how a member of an export or a response is parsed. null is accepted
// for every kind except required, and the member is dropped.
type kind byte

const (
	text     kind = iota // a string; any other value makes the document malformed
	required             // a text that is present and not empty
	secret               // a text, kept as a Secret
	flag                 // true or false; any other value makes the document malformed
	note                 // a string or number; any other value is dropped
	object               // an object with known members
	byID                 // an object of wallets, named by their ID
	texts                // an array of texts, at most maxWallets
	lists                // an object of arrays, together at most maxWallets texts
	hint                 // lists; any other value is dropped
)

// field is a member that an object may have.
type field struct {
	name   string
	kind   kind
	fields []field // of object and byID
}

// of returns fields of one kind. Their names are separated by spaces.
func of(k kind, names string) (all []field) {
	for name := range strings.FieldsSeq(names) {
		all = append(all, field{name: name, kind: k})
	}
	return all
}

// exportFields returns the members of an export, as Para's SDK writes them.
// Decisions use texts and flags. Notes are kept for Export only.
func exportFields() []field {
	wallet := slices.Concat(
		of(text, "id type address scheme publicKey userId"), of(secret, "signer"),
		of(flag, `isPregen isExternal isExternalWithParaAuth isExternalWithVerification
			isExternalConnectionOnly`),
		of(note, `name addressSecondary partnerId createdAt lastUsedAt pregenIdentifier
			pregenIdentifierType externalProviderId`))
	const v1 = "email phone countryCode farcasterUsername telegramUserId externalWalletAddress"
	auth := of(text, v1+" xUsername discordUsername customId guestId userId")
	external := slices.Concat(of(text, "address type"),
		of(flag, "withFullParaAuth isConnectionOnly withVerification"),
		of(note, "partnerId provider providerId addressBech32"))
	authInfo := slices.Concat(
		of(text, "authType identifier"), of(note, "username displayName pfpUrl"),
		[]field{{"auth", object, auth}, {"externalWallet", object, external}})
	return slices.Concat(
		of(text, "userId"), of(secret, "sessionCookie"), of(lists, "currentWalletIds"),
		// Exports of v1 SDKs name the user in these members, not in authInfo.
		of(note, v1),
		[]field{
			{"authInfo", object, authInfo}, {"wallets", byID, wallet},
			{"externalWallets", byID, wallet},
			{"parajwt", object, of(text, "environment url")}, // see Session.Export
		})
}

// node is a value of an export or a response, with its name. Its strings are
// copies, because a substring would keep the whole export, which may contain
// key shares, in memory. Objects keep the order of their members, because
// Para's SDK uses the first usable wallet.
type node struct {
	name, text string
	secret     Secret // in place of text
	form       byte   // the first byte of the value, '0' for a number; 0 if it is absent
	children   []node // of an object or a list
}

// get returns the descendant with this path of names, or the zero node if it is
// absent.
func (n node) get(names ...string) node {
	for _, name := range names {
		i := slices.IndexFunc(n.children, func(c node) bool { return c.name == name })
		if i < 0 {
			return node{}
		}
		n = n.children[i]
	}
	return n
}

func (n node) is(name string) bool { return n.get(name).text == "true" }

func str(name, s string) node { return node{name: name, text: s, form: '"'} }

// reader parses an export or a response of Para.
type reader struct {
	*strictjson.Decoder
	keepSigners bool
	dropped     bool   // key shares were dropped
	at          string // the known top-level member that is parsed, for errors

	wallets, lists, ids int // parsed so far
}

// readAnswer parses the JSON of a response of Para.
func readAnswer(body string, fields []field) (node, error) {
	r := reader{Decoder: strictjson.New(body)}
	return r.document(fields)
}

// document parses the whole text, which must be an object.
func (r *reader) document(fields []field) (node, error) {
	doc := r.value(field{"", object, fields})
	if doc.form == 0 {
		r.Fail("not an object")
	}
	if err := r.End(); err != nil {
		var se *strictjson.Error
		if errors.As(err, &se) && !se.Syntax {
			return node{}, fmt.Errorf("%s: %s", cmp.Or(r.at, "the whole"), se.Reason)
		}
		return node{}, fmt.Errorf("it is not JSON: %w", err)
	}
	return doc, nil
}

// value parses a value. The node is absent if the value is not kept.
func (r *reader) value(f field) node {
	n := node{name: f.name, form: r.Peek()}
	switch {
	case n.form == 'n':
		r.Skip()
		return node{}
	case f.kind == object:
		n.children = make([]node, 0, len(f.fields))
		whole := r.at == ""
		for name := range r.Object {
			i := slices.IndexFunc(f.fields, func(m field) bool { return m.name == name })
			if i < 0 {
				continue
			}
			if whole {
				r.at = f.fields[i].name
			}
			n.add(r.value(f.fields[i]))
		}
		for _, m := range f.fields {
			if m.kind == required && n.get(m.name).text == "" && r.Err() == nil {
				r.at = m.name
				r.Fail("missing or empty")
			}
		}
	case f.kind == byID:
		for id := range r.Object {
			n.add(r.wallet(strings.Clone(id), f.fields))
		}
	case f.kind == lists:
		for name := range r.Object {
			r.count(&r.lists, "lists")
			n.add(r.value(field{name: strings.Clone(name), kind: texts}))
		}
	case f.kind == texts:
		for range r.Array {
			r.count(&r.ids, "IDs")
			n.add(r.value(field{}))
		}
	case f.kind == hint:
		// A malformed hint fails only this inner reader, not the document.
		inner := reader{Decoder: strictjson.New(r.Raw())}
		if n = inner.value(field{name: f.name, kind: lists}); inner.End() != nil {
			return node{}
		}
	case f.kind == flag:
		if r.Skip(); n.form != 't' && n.form != 'f' {
			r.Fail("not true or false")
		}
		n.text = strconv.FormatBool(n.form == 't')
	case f.kind == secret:
		n.secret = NewSecret(strings.Clone(r.String()))
	case f.kind == text, f.kind == required, n.form == '"':
		n.text = strings.Clone(r.String())
	case n.form == '0':
		n.text = strings.Clone(r.Number())
	default:
		r.Skip()
		return node{}
	}
	return n
}

// count adds one to n, and fails if n then exceeds maxWallets.
func (r *reader) count(n *int, what string) {
	if *n++; *n > maxWallets {
		r.Fail(fmt.Sprintf("more than %d %s", maxWallets, what))
	}
}

// wallet parses a wallet. It keeps an empty key share, which external wallets
// have.
func (r *reader) wallet(id string, fields []field) node {
	r.count(&r.wallets, "wallets")
	if r.Peek() == 'n' {
		r.Fail("not an object")
	}
	w := r.value(field{id, object, fields})
	if w.get("signer").secret.text != nil && !r.keepSigners {
		w.put(node{name: "signer"})
		r.dropped = true
	}
	switch w.get("id").text {
	case id:
	case "":
		w.children = append([]node{str("id", id)}, w.children...)
	default:
		r.Fail("a wallet with two IDs")
	}
	return w
}

func (n *node) add(child node) {
	if child.form != 0 {
		n.children = append(n.children, child)
	}
}

// put removes the member with the name of child, and appends child unless it is
// absent.
func (n *node) put(child node) {
	n.children = slices.DeleteFunc(slices.Clone(n.children), func(c node) bool {
		return c.name == child.name
	})
	n.add(child)
}

// write appends the JSON of the value (RFC 8259) to b, to which e encodes. HTML
// is not escaped, so that an export is not larger than the text that was
// imported.
func (n node) write(b *bytes.Buffer, e *json.Encoder) {
	e.SetEscapeHTML(false)
	quote := func(s string) {
		_ = e.Encode(s)         // a string does not fail
		b.Truncate(b.Len() - 1) // the line break
	}
	switch n.form {
	case '{', '[':
		b.WriteByte(n.form)
		for i, c := range n.children {
			if i > 0 {
				b.WriteByte(',')
			}
			if n.form == '{' {
				quote(c.name)
				b.WriteByte(':')
			}
			c.write(b, e)
		}
		b.WriteByte(n.form + 2) // in ASCII, the closing bracket
	case '"':
		quote(n.text + n.secret.Reveal())
	default:
		b.WriteString(n.text)
	}
}

// readExport parses the JSON of an export, and checks its user ID and cookie.
func (r *reader) readExport() (node, error) {
	doc, err := r.document(exportFields())
	if err != nil {
		return doc, err
	}
	if doc.get("authInfo").form == 0 {
		doc.add(deriveAuth(doc))
	}
	userID, cookie := doc.get("userId").text, doc.get("sessionCookie").secret.Reveal()
	connected := modeOf(doc) == ModeConnectionOnly
	switch {
	case userID == "" && !connected:
		err = errors.New("userId: missing or empty: was the user logged in?")
	case userID != "" && !isID(userID):
		err = errors.New("userId: not an ID")
	case cookie == "" && !connected:
		err = errors.New("sessionCookie: missing or empty: was the user logged in?")
	case cookie != "" && !isCookie(cookie):
		err = errors.New("sessionCookie: not a cookie")
	}
	return doc, err
}
