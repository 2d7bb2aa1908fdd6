package main

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"strings"

	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

//go:embed page
var pageFiles embed.FS

var pageTemplate = template.Must(template.ParseFS(pageFiles, "page/index.html"))

// Everything comes from here, and nothing is inline, so that not even a mistake in the page could load or
// send anything.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// newPage returns the page and its API, for what Para itself does not answer.
func newPage(para *paratest.Para, validator *middleware.Validator) http.Handler {
	var html bytes.Buffer
	err := pageTemplate.Execute(&html, map[string]any{
		"URL": para.URL(), "APIKeyID": para.APIKeyID(), "People": people, "Kinds": kinds,
	})
	if err != nil {
		panic(err) // the template is fixed, and so is what it is given
	}
	assets, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err)
	}
	asset := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, assets, name) }
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(html.Bytes())
	})
	mux.HandleFunc("GET /parajwt/style.css", asset("style.css"))
	mux.HandleFunc("GET /parajwt/page.js", asset("page.js"))
	mux.HandleFunc("GET /parajwt/icon.svg", asset("icon.svg"))
	mux.Handle("POST /parajwt/token", issuer{para, validator})

	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		tellError(w, http.StatusForbidden, "requests from other sites are refused")
	}))
	return onlyLocal(sameOrigin.Handler(mux))
}

// onlyLocal refuses requests for other hosts: a site whose name was made to resolve to loopback would count as
// the same origin (DNS rebinding).
func onlyLocal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !isLocal(r.Host) {
			tellError(w, http.StatusMisdirectedRequest, "this is for this machine only: use localhost or 127.0.0.1")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLocal(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = hostPort
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
