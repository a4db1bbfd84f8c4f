package check

import (
	"testing"

	"notp.core-platform.internal/notp-pdp/internal/content"
)

func TestStagedContent(t *testing.T) {
	store := content.NewStore()
	all := Staged{Store: store}
	store.AddModule(content.Hash{1}, "package a\n")
	store.AddDocument(content.Hash{2}, []byte(`{"x": `), false)
	store.AddDocument(content.Hash{3}, []byte("x: 1\n"), true)
	store.AddPatch(content.Hash{4}, content.Hash{3}, []byte(`[[["y"], 2]]`))
	store.AddPatch(content.Hash{5}, content.Hash{3}, []byte(`[[["x"], 2]]`))
	if text, ok := all.Text(Hash{1}); !ok || text != "package a\n" {
		t.Errorf("text %q %v", text, ok)
	}
	if _, ok := all.Text(Hash{9}); ok {
		t.Error("a text that nobody staged")
	}
	for number, want := range map[byte]bool{2: true, 3: true, 4: false, 5: true, 9: false} {
		value, problem, ok := all.Document(Hash{number})
		if ok != want || (number == 2) != (problem != nil) {
			t.Errorf("document %d: %v %v %v", number, value, problem, ok)
		}
	}
}
