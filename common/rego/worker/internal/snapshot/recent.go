package snapshot

import "container/list"

// recent keeps the entries of a map that were used last: keys come from callers. Not thread-safe.
type recent[V any] struct {
	max     int
	order   list.List // of *recentEntry[V], the last used first
	entries map[string]*list.Element
}

type recentEntry[V any] struct {
	key   string
	value V
}

func newRecent[V any](max int) *recent[V] {
	return &recent[V]{max: max, entries: map[string]*list.Element{}}
}

// get returns an entry, which counts as a use of it; the zero value if there is none.
func (r *recent[V]) get(key string) V {
	element := r.entries[key]
	if element == nil {
		var none V
		return none
	}
	r.order.MoveToFront(element)
	return element.Value.(*recentEntry[V]).value
}

// put adds or replaces an entry, and drops the one that was not used for longest when there are too many.
func (r *recent[V]) put(key string, value V) {
	if element := r.entries[key]; element != nil {
		element.Value.(*recentEntry[V]).value = value
		r.order.MoveToFront(element)
		return
	}
	r.entries[key] = r.order.PushFront(&recentEntry[V]{key, value})
	if len(r.entries) > r.max {
		last := r.order.Back()
		r.order.Remove(last)
		delete(r.entries, last.Value.(*recentEntry[V]).key)
	}
}

// all yields the entries, those that were not used for longest first.
func (r *recent[V]) all(yield func(string, V) bool) {
	for at := r.order.Back(); at != nil; at = at.Prev() {
		if entry := at.Value.(*recentEntry[V]); !yield(entry.key, entry.value) {
			return
		}
	}
}
