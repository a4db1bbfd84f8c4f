package serve

import (
	"runtime"
	"sync/atomic"
	"time"
)

// relay lets the goroutine that reads frames evaluate a question itself: most take less than waking
// another goroutine would. While it evaluates nobody reads; when that lasts, another goroutine reads
// on in its place, so that a question that never ends holds up nobody, and can be cancelled.
type relay struct {
	read func() // reads from then on; called on a goroutine of its own

	turn  atomic.Uint64 // odd while the one that reads evaluates; each evaluation has its own number
	armed atomic.Bool   // the timer runs
	seen  atomic.Uint64 // the turn when it was looked at last
	timer *time.Timer

	typical time.Duration // of an evaluation here; of the goroutine that reads
	serial  bool          // few processors: what is quick is quicker one after the other

	apart atomic.Int32 // so many evaluations are left to the pool before one is tried here again
}

const (
	// quick is how long evaluations may take on average, for others that have come to wait for them.
	quick = 100 * time.Microsecond
	// serialMax is how many processors are few: the supervisor has one of two for what it does itself.
	serialMax = 4

	// patience is how long an evaluation may keep the others from being read; twice that at most.
	patience = time.Millisecond
	// apartFor is how many evaluations are left to the pool after one that lasted.
	apartFor = 1024
)

func newRelay(read func()) *relay {
	r := &relay{read: read, serial: runtime.NumCPU() <= serialMax}
	r.timer = time.AfterFunc(time.Hour, r.look)
	r.timer.Stop()
	return r
}

// may reports whether an evaluation is to be tried here; `alone`: nothing else has come. Where one
// lasted it was, most likely, not the last one.
func (r *relay) may(alone bool) bool {
	if r.apart.Load() > 0 {
		r.apart.Add(-1)
		return false
	}
	return alone || r.serial && r.typical < quick
}

// run runs a task on the goroutine that reads. False: that goroutine was replaced, and reads no more.
func (r *relay) run(task func()) bool {
	turn := r.turn.Add(1)
	r.arm(turn)
	began := time.Now()
	task()
	spent := time.Since(began)
	if !r.turn.CompareAndSwap(turn, turn+1) {
		return false
	}
	r.typical += (spent - r.typical) / 8
	return true
}

// arm starts the timer if it does not run: it is not stopped between one evaluation and the next.
func (r *relay) arm(turn uint64) {
	if r.armed.CompareAndSwap(false, true) {
		r.seen.Store(turn)
		r.timer.Reset(patience)
	}
}

// look is called by the timer.
func (r *relay) look() {
	turn := r.turn.Load()
	if turn != r.seen.Load() {
		r.seen.Store(turn)
		r.timer.Reset(patience)
		return
	}
	if turn%2 == 1 && r.turn.CompareAndSwap(turn, turn+1) {
		r.apart.Store(apartFor)
		go r.read()
	}
	r.armed.Store(false)
	// One that began before that has not started the timer.
	if turn = r.turn.Load(); turn%2 == 1 {
		r.arm(turn)
	}
}
