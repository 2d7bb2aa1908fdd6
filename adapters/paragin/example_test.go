package paragin_test

import (
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	"github.com/parajwt/parajwt/adapters/paragin"
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

	r := gin.New()
	r.Use(paragin.Require(validator))
	r.GET("/me", func(c *gin.Context) {
		user, _ := paragin.User(c) // never false behind Require
		c.JSON(http.StatusOK, gin.H{"id": user.UserID})
	})

	req := httptest.NewRequest("GET", "/me", nil)
	req.Header.Set("Authorization", "Bearer "+para.Token(paratest.EmailUser()))
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	fmt.Println(w.Code, w.Body)

	w = httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/me", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output:
	// 200 {"id":"d5358219-38d3-4650-91a8-e338131d1c5e"}
	// 401 Bearer
}

// Outer middleware finds the reason for a refusal in c.Errors.
func ExampleRequire_errors() {
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

	r := gin.New()
	r.Use(func(c *gin.Context) {
		c.Next()
		if err := c.Errors.Last(); err != nil {
			fmt.Println(err, errors.Is(err, middleware.ErrNoToken))
		}
	})
	r.Use(paragin.Require(validator))

	r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/me", nil))
	// Output: Unauthorized true
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

	r := gin.New()
	r.GET("/", paragin.Optional(validator), func(c *gin.Context) {
		if user, ok := paragin.User(c); ok {
			c.String(http.StatusOK, "Hello "+user.Identifier)
		} else {
			c.String(http.StatusOK, "Hello stranger")
		}
	})

	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
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

	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	api := e.Group("/api", paragin.Require(validator))
	api.POST("/sign", paragin.Allow(middleware.WalletOf(claims.WalletSolana)),
		func(c *gin.Context) { c.String(http.StatusOK, "signed") })

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
