package serve

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// garbageMax is how much garbage may gather however large the heap is: bytes.
const garbageMax = 64 << 20

// TuneCollector lets garbage gather as far as `percent` of the live heap, and less when that would be
// much: a small heap is seldom collected, a large one does not grow by a multiple of itself. It sets
// the percentage anew after every collection, from then on.
func TuneCollector(percent int) {
	live := max(heapMetric("/gc/heap/live:bytes"), 1)
	debug.SetGCPercent(int(min(uint64(percent), max(10, garbageMax*100/live))))
	// Collected with the next cycle, and made again.
	runtime.AddCleanup(&cycle{}, TuneCollector, percent)
}

// cycle lives until the next collection. It has a pointer, so that it is an object of its own.
type cycle struct{ _ *cycle }

// releaseFrom is how many units an activation compiles before the memory that it took is given back
// to the system at once: a worker that has just started would otherwise look large for minutes.
const releaseFrom = 64

func heapMetric(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// heapBytes is the memory of live and not yet swept objects.
func heapBytes() uint64 { return heapMetric("/memory/classes/heap/objects:bytes") }
