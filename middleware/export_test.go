package middleware

// MaxEntryBytes is the limit of a token cache's entry.
const MaxEntryBytes = maxEntryBytes

// Remembers reports whether the token cache has this token.
func (v *Validator) Remembers(token string) bool { return v.cache.get(token) != nil }

// CacheCapacity returns the number of entries of the token cache.
func (v *Validator) CacheCapacity() int { return len(v.cache.sets) * ways }
