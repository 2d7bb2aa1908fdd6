package jwks_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
)

// body responds with 200, a text and pairs of header fields.
func body(text string, fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for f := range slices.Chunk(fields, 2) {
			w.Header().Add(f[0], f[1])
		}
		io.WriteString(w, text)
	}
}

// keys responds with the key set of these signers.
func keys(pairs ...testkit.Signer) http.HandlerFunc { return body(testkit.SetOf(pairs...)) }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, http.StatusText(code), code)
	}
}

func html(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	io.WriteString(w, "<!doctype html><title>We'll be back soon</title>")
}

// hang does not respond. It returns when the client gives up.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// hangUntil responds once it is released, or returns when the client gives up.
func hangUntil[T any](release <-chan T, answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
			answer(w, r)
		case <-r.Context().Done():
		}
	}
}

// after responds after a delay. Use it in a bubble only.
func after(d time.Duration, answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { hangUntil(time.After(d), answer)(w, r) }
}

// stall sends a status and half a body, then nothing more.
func stall(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, text[:len(text)/2])
		http.NewResponseController(w).Flush()
		hang(w, r)
	}
}

// drip sends one byte per second. Use it in a bubble only.
func drip(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(text) && r.Context().Err() == nil; i++ {
			io.WriteString(w, text[i:i+1])
			http.NewResponseController(w).Flush()
			hangUntil(time.After(time.Second), func(http.ResponseWriter, *http.Request) {})(w, r)
		}
	}
}

// cutOff closes the connection in the middle of the body.
func cutOff(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		io.WriteString(w, text[:len(text)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// endless sends up to 100 MiB that begin like a key set. It counts the bytes
// that it could send.
func endless(written *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"keys":[`)
		chunk := []byte(strings.Repeat(" ", 4<<10))
		for range 100 << 20 / len(chunk) {
			n, err := w.Write(chunk)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
}

func redirect(code int, to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(code)
	}
}

// conditional responds with 304 to a client that has this version already. Its
// validator is an ETag or a Last-Modified date.
func conditional(field, version string, answer http.HandlerFunc) http.HandlerFunc {
	condition := map[string]string{"ETag": "If-None-Match",
		"Last-Modified": "If-Modified-Since"}[field]
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(field, version)
		if r.Header.Get(condition) == version {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		answer(w, r)
	}
}
