package snapshot

import (
	"slices"
	"testing"
)

func TestRecentDropsWhatWasNotUsedForLongest(t *testing.T) {
	r := newRecent[int](3)
	for i, key := range []string{"a", "b", "c"} {
		r.put(key, i+1)
	}
	if r.get("a") != 1 {
		t.Fatal("a is not there")
	}
	r.put("b", 20)
	r.put("d", 4) // c was not used since
	var keys []string
	for key := range r.all {
		keys = append(keys, key)
	}
	if !slices.Equal(keys, []string{"a", "b", "d"}) {
		t.Errorf("kept %v", keys)
	}
	if r.get("b") != 20 || r.get("c") != 0 {
		t.Errorf("b is %v, c is %v", r.get("b"), r.get("c"))
	}
}
