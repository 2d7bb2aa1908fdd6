//go:build race

package middleware_test

// few is by how much less is done under the race detector, which slows everything down.
const few = 5
