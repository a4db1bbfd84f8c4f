package tokens

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestTheTimeSinceTheBootIsTheKernels(t *testing.T) {
	kernel := func() int64 {
		var booted unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &booted); err != nil {
			t.Fatal(err)
		}
		return booted.Nano() / int64(time.Millisecond)
	}
	var c clocks
	for range 1000 {
		before := kernel()
		_, boot := c.read()
		if after := kernel(); boot < before-1 || boot > after+1 {
			t.Fatalf("read %d, and the kernel says %d to %d", boot, before, after)
		}
	}
}

func TestAnEarlierReadingIsNotUsedWhenAClockJumped(t *testing.T) {
	const second = int64(time.Second)
	last := reading{wall: 100 * second, monotonic: 10 * second, boot: 50 * second}
	for name, each := range map[string]struct {
		wall, monotonic int64
		follows         bool
	}{
		"half a second":     {100*second + second/2, 10*second + second/2, true},
		"long ago":          {102 * second, 12 * second, false},
		"the machine slept": {200 * second, 10*second + second/2, false},
		"set back":          {99 * second, 10*second + second/2, false},
	} {
		now := reading{wall: each.wall, monotonic: each.monotonic}
		if now.follow(&last) != each.follows {
			t.Errorf("%s: %v, want %v", name, !each.follows, each.follows)
		}
		if each.follows && now.boot != last.boot+second/2 {
			t.Errorf("%s: %d", name, now.boot)
		}
	}
}
