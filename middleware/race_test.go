//go:build race

package middleware_test

// few divides the number of iterations under the race detector, which is slow.
const few = 5
