package paraecho_test

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v4"

	"github.com/parajwt/parajwt/adapters/paraecho"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

func ExampleRequire() {
	// Start Para on loopback. In a program, use jwks.Beta and the ID of your
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
	e.Use(paraecho.Require(validator))
	e.GET("/me", func(c echo.Context) error {
		user, _ := paraecho.User(c) // never false behind Require
		return c.JSON(http.StatusOK, map[string]string{"id": user.UserID, "email": user.Email})
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
	// 200 {"email":"email@example.com","id":"d5358219-38d3-4650-91a8-e338131d1c5e"}
	// 401 Bearer
}

// A custom error handler responds to refusals, too.
func ExampleRequire_errorHandler() {
	// Start Para on loopback. In a program, use jwks.Beta and the ID of your
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
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if errors.Is(err, middleware.ErrExpired) {
			c.String(http.StatusUnauthorized, "please log in again")
			return
		}
		e.DefaultHTTPErrorHandler(err, c)
	}
	e.Use(paraecho.Require(validator))

	r := httptest.NewRequest("GET", "/me", nil)
	r.Header.Set("Authorization", "Bearer "+para.Token(paratest.EmailUser(), paratest.Expired()))
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 401 please log in again
}

func ExampleOptional() {
	// Start Para on loopback. In a program, use jwks.Beta and the ID of your
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
	e.GET("/", func(c echo.Context) error {
		if user, ok := paraecho.User(c); ok {
			return c.String(http.StatusOK, "Hello "+user.Identifier)
		}
		return c.String(http.StatusOK, "Hello stranger")
	}, paraecho.Optional(validator))

	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Code, w.Body)
	// Output: 200 Hello stranger
}
