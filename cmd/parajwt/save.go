package main

import (
	"os"
	"path/filepath"

	"github.com/parajwt/parajwt/jwks"
)

// saveKeys writes a snapshot beside the file and renames it, so that a reader never finds half of one.
func saveKeys(file string, cache *jwks.Cache) (err error) {
	data, err := cache.Snapshot()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".parajwt-*")
	if err != nil {
		return err
	}
	defer func() {
		f.Close() // a second time, where all went well
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil { // public keys
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
