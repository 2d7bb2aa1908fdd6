package revocation_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/parajwt/parajwt/revocation"
)

// BenchmarkRevoked measures what the check of a user who is not on the list
// adds to a request.
func BenchmarkRevoked(b *testing.B) {
	for _, entries := range []int{0, 1000, 1_000_000} {
		local := newList(b, revocation.Config{})
		for i := range entries {
			id := fmt.Sprintf("%08x-38d3-4650-91a8-%012x", i, i*7919)
			must(b, local.RevokeUser(b.Context(), id))
		}
		snapshot, err := local.Snapshot()
		must(b, err)
		down := newStore()
		down.down(errDown)
		l := newList(b, revocation.Config{
			Store: down, Initial: snapshot, MaxStaleness: 24 * time.Hour,
		})
		user := issued("99f4b4e5-1d5c-4b5b-8c0f-0a3d6f7c8f11", "4LnQOv3m7sT0yKx1pWq8Zr5uHcVb2NdE",
			time.Now())
		b.Run(fmt.Sprint(entries, " entries"), func(b *testing.B) {
			b.ReportAllocs()
			ctx, now := b.Context(), time.Now()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if out, err := l.Revoked(ctx, user, now); out || err != nil {
						b.Error(out, err)
					}
				}
			})
		})
	}
}
