package pgstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/revocation"
	"github.com/parajwt/parajwt/revocation/pgstore"
)

func ExampleNew() {
	// Import a driver: _ "github.com/jackc/pgx/v5/stdlib".
	db, err := sql.Open("pgx", "postgres://localhost/myapp")
	if err != nil {
		log.Fatal(err)
	}
	const table = "parajwt_revocations"
	if _, err := db.ExecContext(context.Background(), pgstore.Schema(table)); err != nil {
		log.Fatal(err)
	}
	store, err := pgstore.New(db, table)
	if err != nil {
		log.Fatal(err)
	}
	list, err := revocation.New(revocation.Config{Store: store})
	if err != nil {
		log.Fatal(err)
	}
	defer list.Close()
}

func ExampleSchema() {
	fmt.Println(pgstore.Schema("myschema.revocations"))
	// Output:
	// CREATE TABLE IF NOT EXISTS "myschema"."revocations" (
	// 	seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	// 	mark    bigint NOT NULL DEFAULT (random() * 9e15)::bigint,
	// 	kind    text   NOT NULL CHECK (length(kind) <= 20),
	// 	subject text   NOT NULL CHECK (length(subject) <= 100),
	// 	at      bigint NOT NULL,
	// 	expires bigint NOT NULL
	// )
}

// New does not use the database, so the zero *sql.DB suffices.
func TestTableNames(t *testing.T) {
	db := new(sql.DB)
	for name, ok := range map[string]bool{
		"revocations": true, "Revocations_2": true, "_r": true, "s.t": true,
		strings.Repeat("x", 63): true, strings.Repeat("x", 64): false,
		"": false, "2x": false, "a-b": false, `a"b`: false, "a b": false, "a.b.c": false,
		".a":             false,
		"a;DROP TABLE b": false, "täble": false, "a.": false, "a\n": false,
	} {
		store, err := pgstore.New(db, name)
		if (err == nil) != ok || (store != nil) != ok {
			t.Errorf("New(%q): %v", name, err)
		}
		if schema := pgstore.Schema(name); strings.Contains(schema, "CREATE") != ok {
			t.Errorf("Schema(%q) is %s", name, schema)
		}
	}
	if _, err := pgstore.New(nil, "revocations"); err == nil {
		t.Error("New accepts a nil db")
	}
}
