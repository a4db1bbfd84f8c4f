package snapshot

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stopwatch tells what an evaluation has taken: processor time of its thread, because on a busy machine
// the time that passes says little about a policy. One that went on on another thread, which only long
// ones do, gets the time that passed.
type stopwatch struct {
	began  time.Time
	thread int
	taken  time.Duration // by the thread until then
}

func startStopwatch() stopwatch {
	return stopwatch{time.Now(), unix.Gettid(), threadTime()}
}

func (s stopwatch) spent() time.Duration {
	passed := time.Since(s.began)
	if s.taken == 0 || unix.Gettid() != s.thread {
		return passed
	}
	// The thread may have run something else in between.
	return min(passed, max(threadTime()-s.taken, 0))
}

// threadTime returns what this thread has taken of the processors; 0 when the system does not tell.
func threadTime() time.Duration {
	var now unix.Timespec
	// As ClockGettime, without telling Go's scheduler, which costs many times as much.
	_, _, failed := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_THREAD_CPUTIME_ID,
		uintptr(unsafe.Pointer(&now)), 0)
	if failed != 0 {
		return 0
	}
	return time.Duration(now.Nano())
}
