package tokens

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel is asked for the time since the boot at most so often, unless the wall clock was set or the
// machine has slept: that is a system call, and reading the other clocks is not. ns
const (
	bootMax = int64(time.Second)
	stepMax = int64(time.Millisecond) // of the wall clock away from the monotonic one
)

// clocks reads the machine's. The zero value is ready. Thread-safe.
type clocks struct{ last atomic.Pointer[reading] }

// reading is of one moment, in ns; the monotonic clock stands still while the machine sleeps.
type reading struct{ wall, monotonic, boot int64 }

var began = time.Now()

// read returns milliseconds since 1970, and since the boot, sleep included.
func (c *clocks) read() (wall, boot int64) {
	now := time.Now()
	next := reading{wall: now.UnixNano(), monotonic: int64(now.Sub(began))}
	last := c.last.Load()
	if last == nil || !next.follow(last) {
		var booted unix.Timespec
		if unix.ClockGettime(unix.CLOCK_BOOTTIME, &booted) == nil {
			next.boot = booted.Nano()
			c.last.Store(&next)
		}
	}
	return next.wall / int64(time.Millisecond), next.boot / int64(time.Millisecond)
}

// follow derives the time since the boot from an earlier reading; false: that may be wrong.
func (r *reading) follow(last *reading) bool {
	passed := r.monotonic - last.monotonic
	step := r.wall - last.wall - passed
	if passed < 0 || passed > bootMax || step > stepMax || step < -stepMax {
		return false
	}
	r.boot = last.boot + passed
	return true
}
