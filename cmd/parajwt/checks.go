package main

// verdict is what a check says.
type verdict string

const (
	ok         verdict = "ok"
	refused    verdict = "refused"
	cannotTell verdict = "cannot tell" // for want of keys
	notReached verdict = "not reached"
)

// check is one of the library's checks and its verdict.
type check struct {
	Name    string  `json:"check"`
	Verdict verdict `json:"verdict"`
	Why     string  `json:"why,omitempty"`
	Do      string  `json:"do,omitempty"` // what to do about it
}

// form words what the outside of a token says, and what it may be instead.
func form(token, why string) check {
	return check{"form", refused, why, notAToken(token)}
}
