package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/content"
	"notp.core-platform.internal/notp-pdp/internal/frame"
)

func TestPathsAreThoseOfTheDataAPI(t *testing.T) {
	w := newWorld(t)
	w.activate(release{
		modules: map[string]string{
			"a.rego": "package a.b\n\nx := 1\n\ny := {\"k\": [10, {\"z\": 2}]}\n\nu if input.never\n\nf(v) := v\n\ns contains \"<&>\"\n",
		},
		documents: map[string]string{"a": `{"list": [{"id": 1e3}, "two"], "o": {"0": "zero", "big": 123456789012345678901234567890}}`, "": `{"b": {}}`},
	})
	for path, want := range map[string]string{
		"a/b":             `{"s":["\u003c\u0026\u003e"],"x":1,"y":{"k":[10,{"z":2}]}}`,
		"a/b/x":           "1",
		"a/b/y/k/1/z":     "2",
		"a/b/u":           "undefined",
		"a/b/f":           "evaluation: function data.a.b.f used as reference, not called",
		"a/list/0/id":     "1e3",
		"a/list/1":        `"two"`,
		"a/list/2":        "undefined",
		"a/o/0":           `"zero"`,
		"a/o/big":         "123456789012345678901234567890",
		"a//o//big":       "123456789012345678901234567890",
		"b":               "{}",
		"nothing":         "undefined",
		"a/b/nothing":     "undefined",
		"a/b/s":           `["\u003c\u0026\u003e"]`,
		"a/b/\"":          "path: invalid path: invalid ref term '\"'",
		"a/b/x/y/z/wrong": "evaluation: undefined ref",
	} {
		w.expect(path, "", want)
	}
	w.expect("", "", `{"a":{"b":{"s":["\u003c\u0026\u003e"],"x":1,"y":{"k":[10,{"z":2}]}},"list":[{"id":1e3},"two"],`+
		`"o":{"0":"zero","big":123456789012345678901234567890}},"b":{}}`)
}

func TestInputIsReadAsOPAReadsIt(t *testing.T) {
	w := newWorld(t)
	w.activate(release{modules: map[string]string{"a.rego": "package a\n\ni := input\n\nnone if not input\n"}})
	for input, want := range map[string]string{
		`12345678901234567890.12345678901234567890`: "12345678901234567890.12345678901234567890",
		"\ufeff{\"a\":1}":     "input: ",
		`{"a":1,"a":2}`:       `{"a":2}`,
		`{"a":`:               "input: ",
		`{"a":1} x`:           "input: ",
		" ":                   "input: ",
		`"\ud800"`:            `"` + "\ufffd" + `"`,
		`[null,true,1.0,"x"]`: `[null,true,1.0,"x"]`,
	} {
		w.expect("a/i", input, want)
	}
	w.expect("a/none", "", "true")
	w.expect("a/none", "null", "undefined")
}

func TestFailuresHaveOPAsText(t *testing.T) {
	w := newWorld(t)
	w.activate(release{modules: map[string]string{"dir/a.rego": "package a\n\nx := input.v\n\nx := 2 if input.two\n\ny := 1 / input.v\n"}})
	w.expect("a/x", `{"v": 1, "two": true}`, "evaluation: dir/a.rego:5: eval_conflict_error: rule data.a.x produced conflicting values")
	details := string(w.evaluate("a/x", `{"v": 1, "two": true}`, 0).Details)
	if !strings.HasPrefix(details, `[{"code":"eval_conflict_error","message":"rule data.a.x produced`) ||
		!strings.Contains(details, `"location":{"file":"dir/a.rego","row":5,"col":1}`) {
		t.Errorf("details %s", details)
	}
	w.expect("a/y", `{"v": 0}`, "undefined")
	outcome := w.evaluate("a/y", `{"v": 0}`, frame.FlagStrict)
	if outcome.Failure == nil || !strings.Contains(outcome.Failure.Message, "eval_builtin_error: div: divide by zero") {
		t.Errorf("with strict errors: %+v", outcome)
	}
}

func TestDocumentsAreMergedAsFilesOfAFolder(t *testing.T) {
	w := newWorld(t)
	w.activate(release{documents: map[string]string{"#1": `{"a": {"x": 1}, "n": 0}`, "a#2": `{"y": {"z": 2}}`, "a/y#3": `{"w": [3]}`}})
	w.expect("", "", `{"a":{"x":1,"y":{"w":[3],"z":2}},"n":0}`)
	findings := w.rejected(release{documents: map[string]string{"a/y#4": `{"z": 4}`}})
	if findings[0].Path != "a/y#4" || !strings.Contains(findings[0].Message, "data.a.y.z") {
		t.Errorf("findings %+v", findings)
	}
	w.rejected(release{documents: map[string]string{"#5": `[1]`}})
	w.rejected(release{documents: map[string]string{"b": `{"broken"`}})
	w.rejected(release{documents: map[string]string{"system/notp": `{"broken": 1}`}})
	w.activate(release{documents: map[string]string{"#1": `{"a": {"x": 5}}`}})
	w.expect("", "", `{"a":{"x":5,"y":{"w":[3],"z":2}}}`)
}

func TestPatchesShareWhatTheyDoNotChange(t *testing.T) {
	w := newWorld(t)
	base := w.stageDocument(`{"users": [{"id": 1}, {"id": 2, "tags": ["a", "b"]}], "other": {"big": 1}}`)
	patched := content.Hash(sha256.Sum256([]byte("patched")))
	activate := func(hash content.Hash) *Failure {
		number := w.engine.Number()
		_, failure := w.engine.Activate(context.Background(), frame.Activate{
			Snapshot: number + 1, Base: number, Ledgers: w.ledgers,
			Documents: []frame.Document{{Key: "d", Mount: []string{"d"}, Hash: hash}},
		})
		w.engine.Collect(w.store.Mark())
		return failure
	}
	if failure := activate(base); failure != nil {
		t.Fatal(failure)
	}
	before := w.engine.active.Load().data.root
	w.store.AddPatch(patched, base, []byte(`[[["users","1","tags","0"],"c"],[["users","1","id"],22222222222222222222],[["users","0"],null]]`))
	if failure := activate(patched); failure != nil {
		t.Fatal(failure)
	}
	w.expect("d", "", `{"other":{"big":1},"users":[null,{"id":22222222222222222222,"tags":["c","b"]}]}`)
	after := w.engine.active.Load().data.root
	other := func(root map[string]any) map[string]any { return root["d"].(map[string]any)["other"].(map[string]any) }
	if place(other(before)) != place(other(after)) {
		t.Error("what the patch does not touch was copied")
	}
	if text := fmt.Sprint(before["d"]); text != "map[other:map[big:1] users:[map[id:1] map[id:2 tags:[a b]]]]" {
		t.Errorf("the base has become %s", text)
	}
	for i, changes := range []string{
		`[[["users","7"],1]]`, `[[["none"],1]]`, `[[["users","x"],1]]`, `[[["other","big","deeper"],1]]`, `[1]`, `{`, `[[["users"]]]`,
	} {
		misfit := content.Hash(sha256.Sum256([]byte{byte(i)}))
		w.store.AddPatch(misfit, patched, []byte(changes))
		if failure := activate(misfit); failure == nil || failure.Code != "missing" || !strings.Contains(failure.Message, misfit.String()) {
			t.Errorf("changes %s: %v, want the document as missing", changes, failure)
		}
	}
	if failure := activate(base); failure == nil || failure.Code != "missing" {
		t.Errorf("content that no snapshot had is still there: %v", failure)
	}
}

func TestActivationNeedsItsBaseAndItsContent(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	if _, failure := w.engine.Activate(ctx, frame.Activate{Snapshot: 5, Base: 4}); failure == nil || failure.Code != "base" {
		t.Errorf("a base that is not there: %v", failure)
	}
	missing := frame.Activate{Snapshot: 5, Modules: []frame.Module{{Key: "m", Hash: content.Hash{1}}}, Documents: []frame.Document{{Key: "d", Hash: content.Hash{2}}}}
	_, failure := w.engine.Activate(ctx, missing)
	var hashes []string
	if failure == nil || failure.Code != "missing" || json.Unmarshal([]byte(failure.Message), &hashes) != nil || len(hashes) != 2 {
		t.Errorf("missing content: %v", failure)
	}
	w.expect("a", "", "no_snapshot: nothing")
	w.activate(release{})
	w.expect("a", "", "undefined")
	w.engine.Drop(w.store.Mark())
	w.expect("a", "", "no_snapshot: nothing")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, failure := w.engine.Activate(cancelled, w.request(release{modules: map[string]string{"a": "package a\n\nx := 1\n"}})); failure == nil || failure.Code != "cancelled" {
		t.Errorf("a cancelled activation: %v", failure)
	}
}

func TestOnlyChangedUnitsAreCompiled(t *testing.T) {
	w := newWorld(t)
	modules := map[string]string{
		"lib.rego":   "package lib\n\nok(x) if x == 1\n",
		"a.rego":     "package a\n\nimport data.lib\n\np if lib.ok(input.x)\n",
		"b.rego":     "package b\n\nq := data.a.p\n",
		"alone.rego": "package alone\n\nr := 1\n",
	}
	if count := w.activate(release{modules: modules}); count != 4 {
		t.Errorf("%d units compiled at first, want 4", count)
	}
	w.expect("b/q", `{"x": 1}`, "true")
	if count := w.activate(release{modules: map[string]string{"alone.rego": "package alone\n\nr := 2\n"}}); count != 1 {
		t.Errorf("%d units compiled after a change of one, want 1", count)
	}
	w.expect("alone/r", "", "2")
	if count := w.activate(release{modules: map[string]string{"lib.rego": "package lib\n\nok(x) if x == 2\n"}}); count != 3 {
		t.Errorf("%d units compiled after a change of the library, want 3", count)
	}
	w.expect("b/q", `{"x": 1}`, "undefined")
	w.expect("b/q", `{"x": 2}`, "true")
	if count := w.activate(release{system: `{"state": "fresh"}`}); count != 0 {
		t.Errorf("%d units compiled after a change of freshness, want 0", count)
	}
	w.expect("system/notp/state", "", `"fresh"`)
	if count := w.activate(release{documents: map[string]string{"d": "1"}}); count != 0 {
		t.Errorf("%d units compiled after a change of data, want 0", count)
	}
	w.expect("system/notp/state", "", `"fresh"`)
	w.activate(release{modules: modules})
	w.expect("b/q", `{"x": 1}`, "true")
	w.rejected(release{gone: []string{"lib.rego"}})
	w.activate(release{gone: []string{"lib.rego", "a.rego"}})
	w.expect("b/q", `{"x": 1}`, "undefined")
}

func TestRejectionsHaveOPAsFindings(t *testing.T) {
	w := newWorld(t)
	w.activate(release{modules: map[string]string{"a.rego": "package a\n\nx := 1\n"}})
	for name, c := range map[string]struct {
		r    release
		want Finding
	}{
		"parse": {release{modules: map[string]string{"b.rego": "package b\n\nx := \n"}},
			Finding{Path: "b.rego", Row: 4, Col: 0, Code: "rego_parse_error", Message: "unexpected eof token"}},
		"compile": {release{modules: map[string]string{"b.rego": "package b\n\nx := nope(1)\n"}},
			Finding{Path: "b.rego", Row: 3, Col: 6, Code: "rego_type_error", Message: "undefined function nope"}},
		"conflict with a package": {release{modules: map[string]string{"b.rego": "package a.x\n\ny := 1\n"}},
			Finding{Path: "a.rego", Row: 1, Col: 1, Code: "rego_type_error", Message: "package a.x conflicts with rule x defined at a.rego:3"}},
		"recursion over packages": {release{modules: map[string]string{"b.rego": "package b\n\nx := data.c.y\n", "c.rego": "package c\n\ny := data.b.x\n"}},
			Finding{Path: "b.rego", Row: 3, Col: 1, Code: "rego_recursion_error", Message: "rule data.b.x is recursive"}},
		"data below a rule": {release{documents: map[string]string{"a": `{"x": {"y": 1}}`}},
			Finding{Path: "a.rego", Row: 3, Col: 1, Code: "rego_compile_error", Message: "conflicting rule for data path a/x found"}},
		"data above a rule": {release{documents: map[string]string{"a": `[1]`}},
			Finding{Path: "a.rego", Row: 3, Col: 1, Code: "rego_compile_error", Message: "conflicting rule for data path a/x found"}},
	} {
		got := w.rejected(c.r)[0]
		if got.Path != c.want.Path || got.Row != c.want.Row || got.Col != c.want.Col || got.Code != c.want.Code || !strings.Contains(got.Message, c.want.Message) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	w.expect("a", "", `{"x":1}`)
	w.activate(release{documents: map[string]string{"a": `{"other": 1}`}})
	w.expect("a", "", `{"other":1,"x":1}`)
}

func TestCapabilitiesAreTheLedgers(t *testing.T) {
	w := newWorld(t)
	w.ledgers = []frame.Ledger{{Name: "closed"}, {Name: "open", Capabilities: []byte(`{"allow": ["opa.runtime"]}`)}}
	caller := "package %s\n\nx := opa.runtime()\n"
	w.activate(release{modules: map[string]string{"open.rego": fmt.Sprintf(caller, "open")}, ledgerOf: map[string]uint16{"open.rego": 1}})
	w.expect("open/x", "", "{}")
	findings := w.rejected(release{modules: map[string]string{"closed.rego": fmt.Sprintf(caller, "closed")}})
	want := Finding{Path: "closed.rego", Row: 3, Col: 6, Code: "rego_type_error", Message: "undefined function opa.runtime\na ledger has it only where registry and nodes allow it"}
	if len(findings) != 1 || findings[0] != want {
		t.Errorf("findings %+v, want %+v", findings, want)
	}
	// In one unit with a module of the ledger that may: still refused, and only there.
	findings = w.rejected(release{modules: map[string]string{"closed.rego": "package closed\n\nx := [opa.runtime(), data.open.x]\n"}})
	if len(findings) != 1 || findings[0].Path != "closed.rego" || findings[0].Message != want.Message {
		t.Errorf("findings of a mixed unit %+v", findings)
	}
	w.activate(release{modules: map[string]string{"closed.rego": "package closed\n\nx := [data.open.x]\n"}})
	w.expect("closed/x", "", "[{}]")
	w.ledgers[1].Capabilities = nil
	if findings = w.rejected(release{}); findings[0].Path != "open.rego" {
		t.Errorf("findings after the ledger's terms changed: %+v", findings)
	}
	for _, name := range []string{"http.send({})", `net.lookup_ip_addr("x")`} {
		w.rejected(release{modules: map[string]string{"closed.rego": "package closed\n\nx := " + name + "\n"}})
	}
}

func TestWithheldModulesLeaveUndefinedFunctions(t *testing.T) {
	w := newWorld(t)
	modules := map[string]string{
		"lib.rego":   "package lib.x\n\nok(a, b) := a + b\n\nunused(a) := a\n\nv := 1\n",
		"a.rego":     "package a\n\nimport data.lib.x as l\n\nn := l.ok(1, 2)\n\ns := concat(\"\", [l.ok(1, 2)])\n\nv := l.v\n\nd if not l.ok(1, 2)\n",
		"mocks.rego": "package mocks\n\nm := x if x := data.a.n with data.lib.x.ok as 7\n",
	}
	// A type error as long as the function is there: its result is a number.
	modules["a.rego"] = strings.Replace(modules["a.rego"], "s := concat(\"\", [l.ok(1, 2)])\n\n", "", 1)
	w.activate(release{modules: modules})
	w.expect("a", "", `{"n":3,"v":1}`)
	w.activate(release{modules: map[string]string{"lib.rego": modules["lib.rego"]}, withheld: map[string]bool{"lib.rego": true}})
	w.expect("a", "", `{"d":true}`)
	w.expect("lib", "", `{"x":{}}`)
	w.expect("mocks/m", "", "7")
	w.activate(release{modules: map[string]string{"a.rego": "package a\n\nw := data.lib.x.unused(1)\n"}})
	w.expect("a", "", "{}")
	w.activate(release{modules: map[string]string{"lib.rego": modules["lib.rego"]}})
	w.expect("a", "", `{"w":1}`)
}

func TestRegoV0BesideV1(t *testing.T) {
	w := newWorld(t)
	w.activate(release{
		modules:  map[string]string{"old.rego": "package old\n\nallow { input.x == 1 }\n\ns[x] { x := [1, 2][_] }\n", "new.rego": "package new\n\nallow if data.old.allow\n\nn := count(data.old.s)\n"},
		versions: map[string]uint8{"old.rego": 0},
	})
	w.expect("new", `{"x": 1}`, `{"allow":true,"n":2}`)
	w.rejected(release{modules: map[string]string{"old.rego": "package old\n\nallow { input.x == 1 }\n"}})
}

func TestABatchHasOneSnapshotAndOneClock(t *testing.T) {
	w := newWorld(t)
	text := func(n int) string {
		return fmt.Sprintf("package a\n\nv := %d\n\nx := [data.n, v, time.now_ns(), uuid.rfc4122(\"k\"), input]\n", n)
	}
	activate := func(n int) {
		if _, failure := w.try(release{modules: map[string]string{"a.rego": text(n)}, documents: map[string]string{"n": fmt.Sprint(n)}}); failure != nil {
			t.Error(failure)
		}
	}
	activate(0)
	var group sync.WaitGroup
	group.Go(func() {
		for n := 1; n <= 60; n++ {
			activate(n)
		}
	})
	for range 4 {
		group.Go(func() {
			for range 60 {
				batch := ask("a/x", "", 0)
				batch.Inputs = nil
				for i := range 20 {
					batch.Inputs = append(batch.Inputs, frame.Input{Present: true, Text: fmt.Append(nil, i)})
				}
				decision := w.engine.Evaluate(batch, &builtin.Meter{})
				if decision.Failure != nil {
					t.Error(decision.Failure)
					return
				}
				for i, outcome := range decision.Outcomes {
					var got []any
					if err := json.Unmarshal(outcome.Value, &got); err != nil {
						t.Error(err, outcome.Failure)
						return
					}
					first := fmt.Sprintf("[%v,%v,%d,", got[0], got[0], decision.Time)
					if !strings.HasPrefix(string(outcome.Value), first) || got[4] != float64(i) {
						t.Errorf("input %d of snapshot %d: %s", i, decision.Snapshot, outcome.Value)
					}
				}
				var a, b []any
				if json.Unmarshal(decision.Outcomes[0].Value, &a) == nil && json.Unmarshal(decision.Outcomes[1].Value, &b) == nil && a[3] != b[3] {
					t.Error("two seeds in one batch")
				}
			}
		})
	}
	group.Wait()
	question := ask("a/x", "1", 0)
	question.Time = 1_700_000_000_123_456_789
	decision := w.engine.Evaluate(question, &builtin.Meter{})
	if !strings.Contains(string(decision.Outcomes[0].Value), "1700000000123456789") || decision.Time != question.Time {
		t.Errorf("a given time: %s", decision.Outcomes[0].Value)
	}
}

// TestACompileThatTakesLongCanBeLeft asks for all of data, cancels, and asks again.
func TestACompileThatTakesLongCanBeLeft(t *testing.T) {
	w := newWorld(t)
	w.activate(release{modules: map[string]string{"a.rego": "package a\n\nx := 1\n"}})
	gate, compiles := make(chan bool), 0
	w.engine.units.get("slow", func() <-chan struct{} { gone := make(chan struct{}); close(gone); return gone }, func() (*compiled, error) {
		compiles++
		<-gate
		return w.engine.active.Load().compile([]string{"a.rego"}, nil)
	})
	meter := &builtin.Meter{}
	meter.Cancel()
	if decision := w.engine.Evaluate(ask("", "", 0), meter); decision.Failure == nil && decision.Outcomes[0].Failure == nil {
		t.Error("a cancelled question has an answer")
	}
	close(gate)
	unit, err := w.engine.units.get("slow", nil, nil)
	if err != nil || unit == nil || compiles != 1 {
		t.Errorf("after %d compiles: %v", compiles, err)
	}
	w.expect("", "", `{"a":{"x":1}}`)
}

func TestUnitsAreKeptWithinTheirBound(t *testing.T) {
	w := newWorld(t)
	w.engine.options.UnitBytesMax = 20 * unitBytesOwn
	modules := map[string]string{"lib.rego": "package lib\n\ny := 1\n# " + strings.Repeat("x", 4*unitBytesOwn) + "\n"}
	own := 20 * unitBytesOwn
	for i := range 50 {
		modules[fmt.Sprintf("p%d.rego", i)] = fmt.Sprintf("package p%d\n\nx := %d\n", i, i)
	}
	for _, text := range modules {
		own += unitBytesOwn + len(text)
	}
	w.activate(release{modules: modules})
	askAll := func() {
		for i := range 50 {
			w.expect(fmt.Sprintf("p%d/x", i), "", fmt.Sprint(i))
		}
	}
	askAll()
	if n := len(w.engine.units.entries); n != 50 {
		t.Errorf("%d units are kept of a snapshot's 50", n)
	}
	// What all share counts in each unit, and old units go first.
	for i := range 50 {
		modules[fmt.Sprintf("p%d.rego", i)] = fmt.Sprintf("package p%d\n\nx := %d\n\nz := data.lib.y\n", i, i)
		own += len("\nz := data.lib.y\n")
	}
	w.activate(release{modules: modules})
	askAll()
	if n := len(w.engine.units.entries); w.engine.units.bytes > own || n >= 50 || n < 10 {
		t.Errorf("%d bytes in %d units are kept, of at most %d", w.engine.units.bytes, n, own)
	}
	w.engine.Drop(^uint64(0))
	if w.engine.units.bytesMax != 20*unitBytesOwn {
		t.Errorf("without a snapshot %d bytes may be kept", w.engine.units.bytesMax)
	}
}

func TestPathsAndQueriesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.activate(release{modules: map[string]string{"p.rego": "package p\n\nx := 1\n"}})
	for i := range pathsMax + 50 {
		w.expect(fmt.Sprintf("p/none%d", i), "", "undefined")
	}
	active := w.engine.active.Load()
	if n := len(active.paths.entries); n != pathsMax {
		t.Errorf("%d paths are kept", n)
	}
	if active.paths.get(pathKey([]string{"p", "none0"})) != nil || active.paths.get(pathKey([]string{"p", "none50"})) == nil {
		t.Error("another path than the oldest was dropped")
	}
	last := []string{"p", fmt.Sprintf("none%d", pathsMax+49)}
	unit, err := w.engine.unitOf(active, last, pathKey(last), &builtin.Meter{})
	if err != nil || len(unit.queries.entries) != queriesMax {
		t.Errorf("%d queries are kept: %v", len(unit.queries.entries), err)
	}
}

func TestWhatIsAcceptedIsCompiledWhenItIsAsked(t *testing.T) {
	w := newWorld(t)
	request := w.request(release{modules: map[string]string{
		"p.rego": "package p\n\nx := data.q.y\n", "q.rego": "package q\n\ny := 1\n", "bad.rego": "package bad\n\nz := nothing(1)\n",
	}})
	request.IsAccepted = true
	if n, failure := w.engine.Activate(context.Background(), request); failure != nil || n != 0 {
		t.Fatalf("%d units, %v", n, failure)
	}
	w.expect("p/x", "", "1")
	if n := len(w.engine.units.entries); n != 1 {
		t.Errorf("%d units are compiled", n)
	}
	// What follows is judged by what differs, as ever.
	if _, failure := w.try(release{modules: map[string]string{"q.rego": "package q\n\ny := nothing(1)\n"}}); failure == nil {
		t.Error("a release that does not compile is active")
	}
	if n := w.activate(release{modules: map[string]string{"q.rego": "package q\n\ny := 2\n"}}); n != 2 {
		t.Errorf("%d units are compiled for a change of two", n)
	}
	w.expect("p/x", "", "2")
}
