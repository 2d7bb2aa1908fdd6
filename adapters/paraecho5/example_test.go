package paraecho5_test

import (
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v5"

	"github.com/parajwt/parajwt/adapters/paraecho5"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

func ExampleRequire() {
	// Start an emulator of Para. In a program, use jwks.Beta and the ID of your
	// API key.
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer para.Close()
	validator, err := middleware.New(middleware.Config{
		Environment: para.Environment(),
		APIKeyIDs:   []string{para.APIKeyID()},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()

	e := echo.New()
	e.Use(paraecho5.Require(validator))
	e.GET("/me", func(c *echo.Context) error {
		user, _ := paraecho5.User(c) // never false behind Require
		return c.JSON(http.StatusOK, map[string]string{"id": user.UserID})
	})

	r := httptest.NewRequest("GET", "/me", nil)
	r.Header.Set("Authorization", "Bearer "+para.Token(paratest.EmailUser()))
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)

	w = httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", "/me", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output:
	// 200 {"id":"d5358219-38d3-4650-91a8-e338131d1c5e"}
	// 401 Bearer
}

// A custom error handler responds to refusals, too.
func ExampleRequire_errorHandler() {
	// Start an emulator of Para. In a program, use jwks.Beta and the ID of your
	// API key.
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer para.Close()
	validator, err := middleware.New(middleware.Config{
		Environment: para.Environment(),
		APIKeyIDs:   []string{para.APIKeyID()},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()

	e := echo.New()
	byDefault := echo.DefaultHTTPErrorHandler(false)
	e.HTTPErrorHandler = func(c *echo.Context, err error) {
		if errors.Is(err, middleware.ErrExpired) {
			c.String(http.StatusUnauthorized, "please log in again")
			return
		}
		byDefault(c, err)
	}
	e.Use(paraecho5.Require(validator))

	r := httptest.NewRequest("GET", "/me", nil)
	r.Header.Set("Authorization", "Bearer "+para.Token(paratest.EmailUser(), paratest.Expired()))
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 401 please log in again
}

func ExampleOptional() {
	// Start an emulator of Para. In a program, use jwks.Beta and the ID of your
	// API key.
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer para.Close()
	validator, err := middleware.New(middleware.Config{
		Environment: para.Environment(),
		APIKeyIDs:   []string{para.APIKeyID()},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()

	e := echo.New()
	e.GET("/", func(c *echo.Context) error {
		if user, ok := paraecho5.User(c); ok {
			return c.String(http.StatusOK, "Hello "+user.Identifier)
		}
		return c.String(http.StatusOK, "Hello stranger")
	}, paraecho5.Optional(validator))

	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Code, w.Body)
	// Output: 200 Hello stranger
}

// Require guards all routes. Allow additionally requires a wallet on one route.
func ExampleAllow() {
	// Start an emulator of Para. In a program, use jwks.Beta and the ID of your
	// API key.
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer para.Close()
	validator, err := middleware.New(middleware.Config{
		Environment: para.Environment(),
		APIKeyIDs:   []string{para.APIKeyID()},
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()

	e := echo.New()
	api := e.Group("/api", paraecho5.Require(validator))
	api.POST("/sign", func(c *echo.Context) error {
		return c.String(http.StatusOK, "signed")
	}, paraecho5.Allow(middleware.WalletOf(claims.WalletSolana)))

	withoutWallet := paratest.EmailUser()
	withoutWallet.Wallets = nil
	for _, user := range []*claims.Claims{paratest.EmailUser(), withoutWallet} {
		r := httptest.NewRequest("POST", "/api/sign", nil)
		r.Header.Set("Authorization", "Bearer "+para.Token(user))
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		fmt.Println(w.Code, http.StatusText(w.Code))
	}
	// Output:
	// 200 OK
	// 403 Forbidden
}
