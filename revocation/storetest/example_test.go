package storetest_test

import (
	"testing"

	"github.com/parajwt/parajwt/revocation"
	"github.com/parajwt/parajwt/revocation/storetest"
)

func ExampleRun() {
	// In a file of your store's package:
	//
	//	func TestMyStore(t *testing.T) { ... }
	_ = func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) revocation.Store {
			var store revocation.Store // your store, with a new and empty log
			return store
		})
	}
}
