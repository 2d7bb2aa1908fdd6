//go:build !race

package middleware_test

const few = 1
