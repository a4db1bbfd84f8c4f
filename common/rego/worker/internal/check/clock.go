package check

import (
	"context"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// lookEvery is how often the work under way is charged for its processor time.
const lookEvery = 10 * time.Millisecond

// processorTime returns what this process has taken of all processors.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// clock charges work for processor time: the wall clock would charge a test for what the machine does
// beside it. The kernel counts for the process, so that work that is done at the same time shares what
// is counted, and only one that is alone knows its own time. Thread-safe.
type clock struct {
	now   func() time.Duration // of the process
	limit time.Duration        // of all tests together

	gate sync.RWMutex // held by work; for writing by work that is to be alone

	mutex  sync.Mutex
	last   time.Duration
	active map[*charge]bool
	tests  time.Duration // what tests have taken
}

// charge is what one piece of work has taken.
type charge struct {
	limit  time.Duration // 0: none
	extra  bool          // it does not count among the tests
	cancel context.CancelFunc
	spent  time.Duration
	shared bool // with other work: spent is an estimate
	over   bool // it met its limit
	ended  bool // it met the limit of all tests
}

func newClock(limit time.Duration) *clock {
	return &clock{now: processorTime, limit: limit, last: processorTime(), active: map[*charge]bool{}}
}

// run charges until the context ends.
func (c *clock) run(ctx context.Context) {
	ticks := time.NewTicker(lookEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			c.mutex.Lock()
			c.look()
			c.mutex.Unlock()
		}
	}
}

// look shares the time since the last look between all that was active. The mutex is held.
func (c *clock) look() {
	now := c.now()
	passed := now - c.last
	c.last = now
	if len(c.active) == 0 {
		return
	}
	share := passed / time.Duration(len(c.active))
	for each := range c.active {
		each.spent += share
		each.shared = each.shared || len(c.active) > 1
		if each.limit > 0 && !each.extra {
			c.tests += share
		}
	}
	for each := range c.active {
		if each.limit == 0 || each.over || each.ended {
			continue
		}
		each.over, each.ended = each.spent >= each.limit, c.tests >= c.limit && !each.extra
		if each.over || each.ended {
			each.cancel()
		}
	}
}

// work does what is no test, beside others.
func (c *clock) work(do func()) {
	c.gate.RLock()
	defer c.gate.RUnlock()
	c.charged(&charge{}, do)
}

// beside does what has a limit, and does not count among the tests.
func (c *clock) beside(ctx context.Context, limit time.Duration, do func(context.Context)) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	c.gate.RLock()
	defer c.gate.RUnlock()
	c.charged(&charge{limit: limit, cancel: cancel, extra: true}, func() { do(inner) })
}

// test runs a test with a limit. When others ran beside it and it is over its share, it is run again
// alone, and only that counts. False: there is no time left for it.
func (c *clock) test(ctx context.Context, limit time.Duration, do func(context.Context)) (*charge, bool) {
	attempt := func() (*charge, bool) {
		if c.hasEnded() {
			return nil, false
		}
		inner, cancel := context.WithCancel(ctx)
		defer cancel()
		own := &charge{limit: limit, cancel: cancel}
		c.charged(own, func() { do(inner) })
		return own, true
	}
	c.gate.RLock()
	own, ran := attempt()
	c.gate.RUnlock()
	if !ran || !own.over || !own.shared || own.ended {
		return own, ran
	}
	c.gate.Lock()
	defer c.gate.Unlock()
	c.forget(own)
	runtime.GC() // what the others left behind is not its work
	return attempt()
}

func (c *clock) charged(own *charge, do func()) {
	c.mutex.Lock()
	c.look()
	c.active[own] = true
	c.mutex.Unlock()
	do()
	c.mutex.Lock()
	c.look()
	delete(c.active, own)
	c.mutex.Unlock()
}

func (c *clock) hasEnded() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.tests >= c.limit
}

func (c *clock) forget(own *charge) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.tests -= own.spent
}
