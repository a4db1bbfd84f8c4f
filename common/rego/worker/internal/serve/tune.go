package serve

import "runtime/debug"

// garbageMax is how much garbage may gather however large the heap is: bytes.
const garbageMax = 128 << 20

// TuneCollector lets garbage gather as far as `percent` of the live heap, and less when that would be
// much: a small heap is seldom collected, a large one does not grow by a multiple of itself.
func TuneCollector(percent int) {
	live := max(heapBytes(), 1)
	debug.SetGCPercent(int(min(uint64(percent), max(25, garbageMax*100/live))))
}
