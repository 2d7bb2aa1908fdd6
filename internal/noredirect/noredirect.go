// Package noredirect makes HTTP clients that follow no redirects. Only the
// configuration may choose which host gets a program's requests. Go would also
// send custom headers, such as those with API keys, to another host.
package noredirect

import "net/http"

// Client returns a copy of a client that follows no redirects and keeps no
// cookies. The copy returns a redirect like any other response. It shares the
// transport of from. If from is nil or has no transport, the copy uses
// transport, and owned is true.
func Client(from *http.Client, transport http.RoundTripper) (client *http.Client, owned bool) {
	client = &http.Client{}
	if from != nil {
		*client = *from
	}
	if owned = client.Transport == nil; owned {
		client.Transport = transport
	}
	client.Jar = nil
	client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}
	return client, owned
}
