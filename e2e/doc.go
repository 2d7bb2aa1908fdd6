// Package e2e compares parajwt with Para's own client: @getpara/server-sdk
// under Node, unmodified. The tests need Node and have the build tag e2e.
// e2e/run installs what they need and runs them; see README.md.
package e2e
