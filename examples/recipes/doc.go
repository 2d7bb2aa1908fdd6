// Package recipes has the code of docs/recipes.md and docs/migrate.md. Each
// file is one recipe, and its test runs it against an emulator of Para.
package recipes
