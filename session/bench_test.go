//go:build unix

package session_test

import (
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"
)

// cpu returns the CPU time of this process, including its garbage collector.
// Other processes change it little.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkWorstExports reports the CPU time of reading each of the worst
// exports with every accessor, and of Export: the mean, which includes the
// garbage collection, and the minimum.
func BenchmarkWorstExports(b *testing.B) {
	worst := worstExports(b)
	c, _ := fake(b, says(500, ""))
	for _, name := range slices.Sorted(maps.Keys(worst)) {
		for _, export := range []bool{false, true} {
			step := "/read"
			if export {
				step = "/read and Export"
			}
			b.Run(name+step, func(b *testing.B) {
				b.ReportAllocs()
				least := time.Hour
				start := cpu(b)
				for b.Loop() {
					before := cpu(b)
					if s := read(b, c, worst[name]); export {
						_ = s.Export()
					}
					least = min(least, cpu(b)-before)
				}
				mean := cpu(b) - start
				b.ReportMetric(mean.Seconds()*1e3/float64(b.N), "cpu-ms/op")
				b.ReportMetric(least.Seconds()*1e3, "min-cpu-ms")
				b.ReportMetric(0, "ns/op") // the time of a shared machine
			})
		}
	}
}
