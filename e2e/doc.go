// Package e2e holds parajwt against Para's own client: @getpara/server-sdk under Node, unmodified. Its tests need
// Node and are behind the build tag e2e; e2e/run installs what they need and runs them. The README beside this
// file says more.
package e2e
