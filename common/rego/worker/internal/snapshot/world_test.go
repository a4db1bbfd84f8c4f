package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/content"
	"notp.core-platform.internal/notp-pdp/internal/frame"
)

// world is an engine with what a supervisor would know of it.
type world struct {
	t       *testing.T
	store   *content.Store
	engine  *Engine
	ledgers []frame.Ledger
}

func newWorld(t *testing.T) *world {
	store := content.NewStore()
	options := Options{ResultMax: 1 << 20, UnitBytesMax: 8 << 20, Threads: 2}
	return &world{t: t, store: store, engine: New(store, options), ledgers: []frame.Ledger{{Name: "main"}}}
}

// release is a change: texts by key; of documents the key is a path, "a/b" or "".
type release struct {
	modules   map[string]string
	versions  map[string]uint8 // 1 unless given
	ledgerOf  map[string]uint16
	withheld  map[string]bool
	documents map[string]string
	gone      []string // modules
	system    string
	fresh     bool // from nothing
}

func (w *world) stageModule(text string) content.Hash {
	hash := content.Hash(sha256.Sum256([]byte("module" + text)))
	w.store.AddModule(hash, text)
	return hash
}

func (w *world) stageDocument(text string) content.Hash {
	hash := content.Hash(sha256.Sum256([]byte("document" + text)))
	w.store.AddDocument(hash, []byte(text), false)
	return hash
}

func mountOf(key string) []string {
	key, _, _ = strings.Cut(key, "#")
	if key == "" {
		return nil
	}
	return strings.Split(key, "/")
}

func (w *world) request(r release) frame.Activate {
	number := w.engine.Number()
	request := frame.Activate{Snapshot: number + 1, Base: number, Ledgers: w.ledgers, ModulesGone: r.gone}
	if r.fresh {
		request.Base = 0
	}
	for key, text := range r.modules {
		version, ok := r.versions[key]
		if !ok {
			version = 1
		}
		request.Modules = append(request.Modules, frame.Module{
			Key: key, Hash: w.stageModule(text), Version: version, Withheld: r.withheld[key], Ledger: r.ledgerOf[key],
		})
	}
	for key, text := range r.documents {
		request.Documents = append(request.Documents, frame.Document{
			Key: key, Mount: mountOf(key), Hash: w.stageDocument(text),
		})
	}
	if r.system != "" {
		request.HasSystem, request.System = true, []byte(r.system)
	}
	return request
}

// try activates and returns how many units were compiled.
func (w *world) try(r release) (int, *Failure) {
	request := w.request(r)
	mark := w.store.Mark()
	count, failure := w.engine.Activate(context.Background(), request)
	w.engine.Collect(mark)
	return count, failure
}

func (w *world) activate(r release) int {
	w.t.Helper()
	count, failure := w.try(r)
	if failure != nil {
		w.t.Fatalf("activate: %v", failure)
	}
	return count
}

// rejected activates what must be rejected and returns the findings.
func (w *world) rejected(r release) []Finding {
	w.t.Helper()
	before := w.engine.Number()
	_, failure := w.try(r)
	if failure == nil || failure.Code != "rejected" {
		w.t.Fatalf("activate: %v, want a rejection", failure)
	}
	if now := w.engine.Number(); now != before {
		w.t.Fatalf("snapshot %d is active after a rejection, want %d", now, before)
	}
	var findings []Finding
	if err := json.Unmarshal([]byte(failure.Message), &findings); err != nil || len(findings) == 0 {
		w.t.Fatalf("findings %q: %v", failure.Message, err)
	}
	return findings
}

// evaluate evaluates a path like "a/b"; an empty input is none.
func (w *world) evaluate(path, input string, flags uint32) Outcome {
	w.t.Helper()
	decision := w.engine.Evaluate(ask(path, input, flags), &builtin.Meter{})
	if decision.Failure != nil {
		return Outcome{Failure: decision.Failure}
	}
	return decision.Outcomes[0]
}

func ask(path, input string, flags uint32) frame.Eval {
	var one frame.Input
	if input != "" {
		one = frame.Input{Present: true, Text: []byte(input)}
	}
	return frame.Eval{Flags: flags, Path: mountOf(path), Inputs: []frame.Input{one}}
}

// expect compares a path's value; "undefined" for none, "CODE: part of the message" for a failure.
func (w *world) expect(path, input, want string) {
	w.t.Helper()
	outcome := w.evaluate(path, input, 0)
	got := "undefined"
	switch {
	case outcome.Failure != nil:
		got = outcome.Failure.Error()
		if strings.HasPrefix(got, want[:min(len(want), len(outcome.Failure.Code)+1)]) && strings.Contains(got, want[min(len(want), len(outcome.Failure.Code)+2):]) {
			return
		}
	case outcome.Defined:
		got = string(outcome.Value)
	}
	if got != want {
		w.t.Errorf("data.%s with %s is %s, want %s", path, input, got, want)
	}
}
