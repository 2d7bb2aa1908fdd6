// Package jwks caches Para's signing keys. A [Cache] fetches the key set of one
// [Environment] on the first look-up, refreshes it before it is needed, and
// keeps using it during outages.
//
// Looking up a known key takes one atomic load and a map look-up. Fetches run
// in the background, one at a time, with their own timeout. docs/outages.md
// describes the [State] of a cache while Para is slow, wrong or down.
package jwks
