package session

import (
	"context"
	"errors"
)

// The limits on calls that carry a user's input. Whoever sends junk must not
// keep other users, or the calls for imported sessions, from reaching Para.
// Together, they stay below maxConnections.
const (
	maxNewCalls   = 24   // under way, for input that Para has not accepted lately
	maxKnownCalls = 8    // under way, for tokens that it has
	maxWaiting    = 1000 // callers that wait for a place
)

// gate bounds the calls under way, and the callers that wait for a place.
type gate struct{ places, callers chan struct{} }

func newGate(places int) gate {
	return gate{make(chan struct{}, places), make(chan struct{}, places+maxWaiting)}
}

// enter waits for a place until ctx ends. It fails at once if too many wait.
func (g gate) enter(ctx context.Context) error {
	select {
	case g.callers <- struct{}{}:
	default:
		return errors.New("too many calls are under way")
	}
	select {
	case g.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-g.callers
		return context.Cause(ctx)
	}
}

func (g gate) leave() {
	<-g.places
	<-g.callers
}
