package tokens

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"notp.core-platform.internal/notp-pdp/internal/frame"
)

const shardCount = 64

// Contact of a lane, as the agent knows it.
const (
	contactUnknown     = 0
	contactHeard       = 1
	contactUnsupported = 2
	contactDenied      = 3
)

// shard is a part of a table; nil segments are empty.
type shard struct {
	base, delta *segment
}

// table is one state of a lane. Immutable.
type table struct {
	users  atomic.Int64 // evaluations, and the holder while it is the newest; 0: it is gone
	lane   frame.Lane
	shards [2][shardCount]shard // by kind
	marks  int
}

func (t *table) segments(visit func(*segment)) {
	for kind := range t.shards {
		for i := range t.shards[kind] {
			for _, each := range []*segment{t.shards[kind][i].base, t.shards[kind][i].delta} {
				if each != nil {
					visit(each)
				}
			}
		}
	}
}

// enter counts a user; false: the table is gone.
func (t *table) enter() bool {
	for {
		users := t.users.Load()
		if users == 0 {
			return false
		}
		if t.users.CompareAndSwap(users, users+1) {
			return true
		}
	}
}

// leave ends what enter began; the last one gives memory back that no other table has.
func (t *table) leave() {
	if t.users.Add(-1) == 0 {
		t.segments((*segment).leave)
	}
}

func (s *segment) leave() {
	if s.owners.Add(-1) == 0 && s.mapped != nil {
		_ = unix.Munmap(s.mapped)
	}
}

// Holder has the newest table. The zero value has none. Thread-safe.
type Holder struct {
	Clock func() (wall, boot int64) // ms; nil: the machine's. Set before it is used.

	machine clocks
	newest  atomic.Pointer[table]
	mutex   sync.Mutex
	next    *table // of an update whose frames have not all arrived
	failed  error  // of an update: the ones behind it would be incomplete
}

// acquire returns the newest table for a user that leaves it; nil: there is none.
func (h *Holder) acquire() *table {
	for {
		newest := h.newest.Load()
		if newest == nil || newest.enter() {
			return newest
		}
	}
}

// Apply takes a frame of an update; `files` are descriptors of the files that it names, in their order.
// With the last frame evaluations that begin see the update. The descriptors are closed. After an error
// nothing of the update is left, and no other one is taken: what it would have brought, revocations too,
// would be missing. The supervisor replaces the worker.
func (h *Holder) Apply(update frame.Tokens, files []int) error {
	defer func() {
		for _, file := range files {
			_ = unix.Close(file)
		}
	}()
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.failed != nil {
		return fmt.Errorf("an update before has failed: %w", h.failed)
	}
	if h.next == nil {
		h.next = h.begin(update.Whole)
	}
	if err := h.next.replace(update, files); err != nil {
		h.next.segments((*segment).leave)
		h.next = nil
		h.failed = err
		return err
	}
	if update.More {
		return nil
	}
	next, former := h.next, h.newest.Load()
	h.next = nil
	next.lane = update.Lane
	next.marks = 0
	next.segments(func(s *segment) { next.marks += s.markCount })
	next.users.Store(1)
	h.newest.Store(next)
	if former != nil {
		former.leave()
	}
	return nil
}

// begin returns a copy of the newest table that owns its segments.
func (h *Holder) begin(whole bool) *table {
	next := &table{}
	if former := h.newest.Load(); former != nil && !whole {
		next.shards = former.shards
		next.segments(func(s *segment) { s.owners.Add(1) })
	}
	return next
}

func (t *table) replace(update frame.Tokens, files []int) error {
	files = slices.Clone(files)
	for _, each := range update.Shards {
		if int(each.Kind) >= len(t.shards) || int(each.Index) >= shardCount {
			return fmt.Errorf("a shard of kind %d at %d", each.Kind, each.Index)
		}
		at := &t.shards[each.Kind][each.Index]
		switch each.Base {
		case frame.BaseStays:
		case frame.BaseNone:
			at.set(&at.base, nil)
		case frame.BaseFile:
			if len(files) == 0 {
				return errors.New("an update without its files")
			}
			base, err := mapFile(files[0])
			if err != nil {
				return err
			}
			files = files[1:]
			at.set(&at.base, base)
		default:
			return fmt.Errorf("a base of kind %d", each.Base)
		}
		var delta *segment
		if len(each.Delta) > 0 {
			var err error
			if delta, err = parse(slices.Clone(each.Delta)); err != nil {
				return err
			}
		}
		at.set(&at.delta, delta)
	}
	return nil
}

func (*shard) set(place **segment, to *segment) {
	if *place != nil {
		(*place).leave()
	}
	if to != nil {
		to.owners.Add(1)
	}
	*place = to
}

const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_WRITE

// mapFile maps a file that nobody can change or cut: reading a page of it cannot fail.
func mapFile(file int) (*segment, error) {
	if have, err := unix.FcntlInt(uintptr(file), unix.F_GET_SEALS, 0); err != nil || have&seals != seals {
		return nil, errors.New("a file of the table is not sealed")
	}
	var about unix.Stat_t
	if err := unix.Fstat(file, &about); err != nil {
		return nil, err
	}
	if about.Size <= 0 || about.Size > 1<<40 {
		return nil, errCorrupt
	}
	mapped, err := unix.Mmap(file, 0, int(about.Size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping the table: %w", err)
	}
	_ = unix.Madvise(mapped, unix.MADV_DONTDUMP)
	s, err := parse(mapped)
	if err != nil {
		_ = unix.Munmap(mapped)
		return nil, err
	}
	s.mapped = mapped
	return s, nil
}
