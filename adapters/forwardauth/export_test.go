package forwardauth

// For the fuzz target.
var (
	Values     = values
	UserIDFits = userIDFits
)
