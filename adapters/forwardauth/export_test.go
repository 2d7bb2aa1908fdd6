package forwardauth

// These names are for the fuzz target.
var (
	Values     = values
	UserIDFits = userIDFits
)
