package content

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestDocumentsAreReadAsOPAReadsThem(t *testing.T) {
	for _, c := range []struct {
		text, want string
		yaml       bool
	}{
		{`{"a": 1, "a": 2}`, `map[a:2]`, false},
		{`12345678901234567890123.10`, `12345678901234567890123.10`, false},
		{"\ufeff[1]", `[1]`, false},
		{`{"a": 1} x`, "error", false},
		{`{"a"`, "error", false},
		{``, "error", false},
		{"a: &x {b: 0x10}\nc: *x\n", `map[a:map[b:16] c:map[b:16]]`, true},
		{"\ufeffa: 1\n", `map[a:1]`, true},
		{`{"a": 1.50}`, `map[a:1.50]`, true},
		{"a: [", "error", true},
		{"a: 1", "error", false},
	} {
		store := NewStore()
		store.AddDocument(Hash{1}, []byte(c.text), c.yaml)
		value, err := store.Document(Hash{1}).Value()
		got := fmt.Sprint(value)
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%q is %s (%v), want %s", c.text, got, err, c.want)
		}
	}
}

func TestLargeDocumentsAreParsedBeside(t *testing.T) {
	store := NewStore()
	text := fmt.Sprintf(`{"text": "%s", "n": 1}`, strings.Repeat("x", 4*parseBeside))
	store.AddDocument(Hash{1}, []byte(text), false)
	store.AddPatch(Hash{2}, Hash{1}, []byte(`[[["n"], 2]]`)) // its base may still be parsed
	store.AddPatch(Hash{3}, Hash{2}, []byte(`[[["n"], 3]]`))
	store.AddPatch(Hash{4}, Hash{9}, []byte(`[[["n"], 3]]`)) // no such base
	for i := byte(1); i <= 3; i++ {
		value, err := store.Document(Hash{i}).Value()
		if err != nil || value.(map[string]any)["n"] != json.Number(fmt.Sprint(i)) {
			t.Errorf("document %d: %v", i, err)
		}
	}
	if store.Document(Hash{4}) != nil {
		t.Error("a patch without its base is there")
	}
	// A patch that does not fit makes room for the document itself.
	store.AddPatch(Hash{5}, Hash{1}, []byte(`[[["none"], 3]]`))
	if _, err := store.Document(Hash{5}).Value(); err != ErrPatch {
		t.Errorf("a patch that does not fit: %v", err)
	}
	store.AddDocument(Hash{5}, []byte(`5`), false)
	if value, err := store.Document(Hash{5}).Value(); err != nil || value != json.Number("5") {
		t.Errorf("after it, the document is %v (%v)", value, err)
	}
}

// TestPatchesDoNotTakeThePlacesOfTheirBases stages more patches than are parsed at once.
func TestPatchesDoNotTakeThePlacesOfTheirBases(t *testing.T) {
	for range 20 {
		store := NewStore()
		text := fmt.Sprintf(`{"text": "%s", "n": 0}`, strings.Repeat("x", 4*parseBeside))
		store.AddDocument(Hash{0}, []byte(text), false)
		for i := byte(1); i < 20; i++ {
			store.AddPatch(Hash{i}, Hash{i - 1}, fmt.Appendf(nil, `[[["n"], %d]]`, i))
		}
		if value, err := store.Document(Hash{19}).Value(); err != nil || value.(map[string]any)["n"] != json.Number("19") {
			t.Fatalf("the last of many patches: %v", err)
		}
	}
}

func TestContentIsForgotten(t *testing.T) {
	store := NewStore()
	for i := range byte(6) {
		store.AddModule(Hash{i}, "package a")
		store.AddDocument(Hash{i}, []byte("1"), false)
	}
	mark := store.Mark()
	store.AddModule(Hash{1}, "package a") // staged again after the mark
	store.AddDocument(Hash{7}, []byte("1"), false)
	store.Keep(mark, func(hash Hash) bool { return hash == Hash{0} }, func(hash Hash) bool { return hash == Hash{5} })
	for i := range byte(8) {
		if got, want := store.Module(Hash{i}) != nil, i < 2; got != want {
			t.Errorf("module %d is there: %v, want %v", i, got, want)
		}
		if got, want := store.Document(Hash{i}) != nil, i == 5 || i == 7; got != want {
			t.Errorf("document %d is there: %v, want %v", i, got, want)
		}
	}
	mark = store.Mark()
	store.AddModule(Hash{1}, "package a")
	store.Forget([][32]byte{{1}, {7}}, mark) // the module is staged again since
	if modules, documents := store.Counts(); modules != 2 || documents != 1 {
		t.Errorf("%d modules and %d documents are left", modules, documents)
	}
}

func TestStagingFromManyGoroutines(t *testing.T) {
	store := NewStore()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for n := range 200 {
				hash := Hash{byte(n), byte(i)}
				store.AddModule(hash, "package a\n\nx := 1\n")
				if _, err := store.Module(hash).Parse("a.rego", 1); err != nil || store.Module(hash).Facts(1) == nil {
					t.Error("a module without its facts", err)
				}
				store.AddDocument(Hash{byte(n)}, []byte("[1]"), false)
				if _, err := store.Document(Hash{byte(n)}).Value(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if _, err := ParseHash("00"); err == nil {
		t.Error("a short hash is one")
	}
	if hash, err := ParseHash(Hash{1, 2}.String()); err != nil || hash != (Hash{1, 2}) {
		t.Errorf("a hash became %v (%v)", hash, err)
	}
}
