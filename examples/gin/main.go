// Gin is a Gin server that verifies its Para users. UUID is the ID of your API
// key in Para's developer portal:
//
//	PARA_ENVIRONMENT=beta PARA_API_KEY_ID=UUID go run ./examples/gin
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/parajwt/parajwt/adapters/paragin"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	environment, err := jwks.ParseEnvironment(os.Getenv("PARA_ENVIRONMENT"))
	if err != nil {
		return err
	}
	validator, err := middleware.New(middleware.Config{
		Environment: environment,
		APIKeyIDs:   []string{os.Getenv("PARA_API_KEY_ID")},
	})
	if err != nil {
		return err
	}
	defer validator.Close()

	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.Recovery())
	r.GET("/readyz", func(c *gin.Context) {
		// For a readiness probe. As a liveness probe, it would restart the
		// server while Para is down. Clients can see it, so it does not have
		// the reason.
		if !validator.Status().Usable {
			c.JSON(http.StatusServiceUnavailable, gin.H{"usable": false})
			return
		}
		c.JSON(http.StatusOK, gin.H{"usable": true})
	})
	users := r.Group("", paragin.Require(validator))
	users.GET("/me", func(c *gin.Context) {
		user, _ := paragin.User(c) // always true behind Require
		c.JSON(http.StatusOK, user)
	})

	// Fetch Para's keys now, so that the first request does not wait for them.
	// If that fails, the server starts anyway. It retries in the background,
	// and responds with 503 until it has keys.
	if err := validator.Warm(ctx); err != nil {
		log.Print(err)
	}

	addr := os.Getenv("ADDR")
	if addr == "" {
		addr = "localhost:8000"
	}
	server := &http.Server{Addr: addr, Handler: r, ReadHeaderTimeout: 5 * time.Second}
	log.Printf("serving %s users on http://%s/me", environment.Name, addr)
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	shutdown, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(shutdown)
}
