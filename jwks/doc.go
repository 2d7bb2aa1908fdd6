// Package jwks keeps Para's signing keys: which environment they are of, and a [Cache] that fetches them when
// first needed, refreshes them ahead of need, and outlives outages.
//
// A look-up of a known key is one atomic load and a look-up in a map. Fetches happen beside it, one at a
// time, on the cache's own time-out rather than on a caller's. How the cache behaves when Para is slow, wrong or
// down is the subject of docs/outages.md.
package jwks
