package check

import (
	"context"
	"testing"
	"time"
)

// hands is a clock whose processor time the test sets.
func hands(limit time.Duration) (*clock, *time.Duration) {
	at := new(time.Duration)
	c := newClock(limit)
	c.now, c.last = func() time.Duration { return *at }, 0
	return c, at
}

func (c *clock) passes(at *time.Duration, spent time.Duration) {
	*at += spent
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.look()
}

func TestATestThatIsAloneIsStoppedAtItsLimit(t *testing.T) {
	c, at := hands(time.Hour)
	runs := 0
	taken, ran := c.test(context.Background(), time.Second, func(ctx context.Context) {
		runs++
		c.passes(at, 900*time.Millisecond)
		if ctx.Err() != nil {
			t.Error("stopped before its limit")
		}
		c.passes(at, 100*time.Millisecond)
		if ctx.Err() == nil {
			t.Error("not stopped at its limit")
		}
	})
	if !ran || !taken.over || runs != 1 {
		t.Errorf("ran %v %d times: %+v", ran, runs, taken)
	}
}

func TestATestThatSharedItsTimeIsRunAgainAlone(t *testing.T) {
	c, at := hands(time.Hour)
	for _, alone := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond} {
		runs := 0
		begun, end, ended := make(chan bool), make(chan bool), make(chan bool)
		go func() {
			c.work(func() { begun <- true; <-end })
			ended <- true
		}()
		<-begun
		before := c.tests
		taken, ran := c.test(context.Background(), time.Second, func(ctx context.Context) {
			if runs++; runs == 2 {
				c.passes(at, alone)
				return
			}
			c.passes(at, 1900*time.Millisecond) // half of it is the other's
			if ctx.Err() != nil {
				t.Error("charged for the other's time")
			}
			c.passes(at, 200*time.Millisecond)
			if ctx.Err() == nil {
				t.Error("not stopped at its share")
			}
			close(end)
		})
		<-ended
		if !ran || runs != 2 || taken.over != (alone > time.Second) || taken.shared {
			t.Errorf("ran %v %d times: %+v", ran, runs, taken)
		}
		if got := c.tests - before; got != alone {
			t.Errorf("all tests are charged for %v of it, and not for the second run's %v", got, alone)
		}
	}
}

func TestTheLimitOfAllTestsStopsThem(t *testing.T) {
	c, at := hands(3 * time.Second)
	for i := range 2 {
		taken, ran := c.test(context.Background(), 2*time.Second, func(context.Context) { c.passes(at, 1500*time.Millisecond) })
		if !ran || taken.over || taken.ended != (i == 1) {
			t.Errorf("test %d ran %v: %+v", i, ran, taken)
		}
	}
	if _, ran := c.test(context.Background(), time.Second, func(context.Context) { t.Error("it runs") }); ran {
		t.Error("there was time left")
	}
}
