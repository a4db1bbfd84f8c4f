package serve

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"notp.core-platform.internal/notp-pdp/internal/frame"
)

const loopPolicy = `package app

quick := input.v

slow := [1 | some i in numbers.range(1, 100000); some j in numbers.range(1, 100000); i * j < 0]
`

// withPolicy stages one module and makes snapshot 1 of it.
func withPolicy(t testing.TB, options Options, text string) *client {
	c := connect(t, options)
	c.stageModule(number(1), text)
	if r := c.activate(state{number: 1, modules: map[string][32]byte{"app.rego": number(1)}}); r.code != "" {
		t.Fatal(r.code, r.message)
	}
	return c
}

func (c *client) cancel(id uint32) {
	c.send(frame.OpCancel, func(e *frame.Encoder) { e.U32(id) })
}

func (c *client) stats() map[string]uint64 {
	r := c.call(frame.OpStats, func(*frame.Encoder) {})
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(r.Bytes(), &all); err != nil {
		c.t.Fatal(err)
	}
	stats := map[string]uint64{}
	for name, text := range all {
		var number uint64
		if json.Unmarshal(text, &number) == nil {
			stats[name] = number
		}
	}
	return stats
}

func TestSlowQuestionsDoNotHoldBackQuickOnes(t *testing.T) {
	c := withPolicy(t, Options{InFlight: 4}, loopPolicy)
	var slow []uint32
	var answers []chan []byte
	for range 3 {
		id, done := c.send(frame.OpEval, evalRequest([]string{"app", "slow"}, ""))
		slow, answers = append(slow, id), append(answers, done)
	}
	for i := range 50 {
		if got, want := c.eval([]string{"app", "quick"}, fmt.Sprintf(`{"v": %d}`, i)), fmt.Sprint(i); got != want {
			t.Errorf("beside slow questions: %s, want %s", got, want)
		}
	}
	if stats := c.stats(); stats["in_flight"] != 3 || stats["snapshot"] != 1 || stats["modules"] != 1 || stats["heap_bytes"] == 0 {
		t.Errorf("stats %v", stats)
	}
	for i, id := range slow {
		c.cancel(id)
		if r := replyOf(<-answers[i]); r.code != "cancelled" {
			t.Errorf("a cancelled question: %q %s", r.code, r.message)
		}
	}
	c.cancel(12345)
	if got := c.eval([]string{"app", "quick"}, `{"v": null}`); got != "null" {
		t.Errorf("after the cancels: %s", got)
	}
}

func TestFullPool(t *testing.T) {
	c := withPolicy(t, Options{InFlight: 1}, loopPolicy)
	first, done := c.send(frame.OpEval, evalRequest([]string{"app", "slow"}, ""))
	second, waits := c.send(frame.OpEval, evalRequest([]string{"app", "slow"}, ""))
	_, quick := c.send(frame.OpEval, evalRequest([]string{"app", "quick"}, `{"v": 1}`))
	if stats := c.stats(); stats["in_flight"] != 3 {
		t.Errorf("stats of a full pool %v", stats)
	}
	c.cancel(second)
	c.cancel(first)
	for _, answer := range []chan []byte{done, waits} {
		if r := replyOf(<-answer); r.code != "cancelled" {
			t.Errorf("%q, want cancelled", r.code)
		}
	}
	if got := valueOf(replyOf(<-quick)); got != "1" {
		t.Errorf("the question that waited: %s", got)
	}
}

func TestBatchOverTheSocket(t *testing.T) {
	c := withPolicy(t, Options{}, "package app\n\nx := [input.v, time.now_ns()]\n\nx := 1 if input.v == 2\n")
	r := c.call(frame.OpEvalBatch, func(e *frame.Encoder) {
		e.I64(1_700_000_000_000_000_000)
		e.U32(0)
		e.U8(frame.FormValue)
		e.U8(frame.ExplainOff)
		e.Path([]string{"app", "x"})
		e.Str("")
		e.U32(4)
		for _, input := range []string{`{"v": 1}`, `{"v": 2}`, "", "{"} {
			e.Str("")
			if input == "" {
				e.U8(0)
			} else {
				e.U8(1)
			}
			e.Str(input)
		}
	})
	if r.code != "" {
		t.Fatal(r.code, r.message)
	}
	snapshot, clock := r.U64(), r.I64()
	r.U64()
	if snapshot != 1 || clock != 1_700_000_000_000_000_000 || r.U32() != 4 {
		t.Fatalf("snapshot %d at %d", snapshot, clock)
	}
	for i, want := range []string{"1 3 [1,1700000000000000000]   ", "2 0 conflict evaluation errors ", "0 2    ", "2 0 EOF input  "} {
		outcome, facts, value, code, details, extras := r.U8(), r.U8(), r.Str(), r.Str(), r.Str(), r.Str()
		for _, word := range []string{"conflict", "EOF"} {
			if strings.Contains(value, word) {
				value = word
			}
		}
		if strings.HasPrefix(details, `[{"code":"eval_conflict_error"`) {
			details = "errors"
		}
		if got := fmt.Sprintf("%d %d %s %s %s %s", outcome, facts, value, code, details, extras); got != want {
			t.Errorf("outcome %d: %q, want %q", i, got, want)
		}
	}
	if err := r.End(); err != nil {
		t.Error(err)
	}
}

func TestActivateDropForget(t *testing.T) {
	c := connect(t, Options{})
	if got := c.eval([]string{"a"}, ""); got != "no_snapshot" {
		t.Errorf("before the first activate: %s", got)
	}
	r := c.activate(state{number: 1, modules: map[string][32]byte{"a.rego": number(1)}, documents: map[string][32]byte{"d": number(2)}})
	if r.code != "missing" || strings.Count(r.message, "0000000000") < 2 {
		t.Errorf("content that was not staged: %q %s", r.code, r.message)
	}
	c.stageModule(number(1), "package a\n\nx := data.d\n\ny := data.system.notp.state\n")
	c.stageDocument(number(2), `[1, 2]`)
	r = c.activate(state{number: 1, modules: map[string][32]byte{"a.rego": number(1)}, documents: map[string][32]byte{"d": number(2)}})
	if snapshot, units, heap := r.U64(), r.U32(), r.U64(); r.code != "" || snapshot != 1 || units != 1 || heap == 0 {
		t.Errorf("activate: %q %s, snapshot %d, %d units, heap %d", r.code, r.message, snapshot, units, heap)
	}
	if got := c.eval([]string{"a", "x"}, ""); got != "[1,2]" {
		t.Errorf("data.a.x is %s", got)
	}
	if r = c.activate(state{number: 2, base: 1, system: `{"state": "expired"}`}); r.code != "" || r.U64() != 2 || r.U32() != 0 {
		t.Errorf("a change of freshness: %q %s", r.code, r.message)
	}
	if got := c.eval([]string{"a", "y"}, ""); got != `"expired"` {
		t.Errorf("data.a.y is %s", got)
	}
	if r = c.activate(state{number: 3, base: 1}); r.code != "base" {
		t.Errorf("a base that is not active: %q", r.code)
	}
	c.send(frame.OpForget, func(e *frame.Encoder) { e.U32(1); e.Hash(number(2)) })
	if r = c.call(frame.OpDrop, func(*frame.Encoder) {}); r.code != "" {
		t.Errorf("drop: %s", r.code)
	}
	if stats := c.stats(); stats["snapshot"] != 0 || stats["modules"]+stats["documents"] != 0 {
		t.Errorf("stats after a drop %v", stats)
	}
	if got := c.eval([]string{"a"}, ""); got != "no_snapshot" {
		t.Errorf("after a drop: %s", got)
	}
}

func TestAnActivationCanBeCancelled(t *testing.T) {
	c := connect(t, Options{})
	all := state{number: 1, modules: map[string][32]byte{}}
	for i := range uint64(2000) {
		var body strings.Builder
		for j := range 20 {
			fmt.Fprintf(&body, "r%d if input.x == %d\n\n", j, j)
		}
		c.stageModule(number(i), fmt.Sprintf("package p%d\n\n%s", i, &body))
		all.modules[fmt.Sprintf("p%d.rego", i)] = number(i)
	}
	id, done := c.send(frame.OpActivate, all.encode)
	c.cancel(id)
	if r := replyOf(<-done); r.code != "cancelled" {
		t.Errorf("a cancelled activation: %q", r.code)
	}
	if r := c.activate(all); r.code != "" || r.U64() != 1 || r.U32() != 2000 {
		t.Errorf("the same again: %q %s", r.code, r.message)
	}
}

func TestMalformedRequests(t *testing.T) {
	c := withPolicy(t, Options{}, "package app\n\nx := 1\n")
	for _, operation := range []uint8{frame.OpEval, frame.OpEvalBatch, frame.OpActivate, frame.OpCheck, frame.OpStubs} {
		if r := c.call(operation, func(e *frame.Encoder) { e.U16(9) }); r.code != "frame" {
			t.Errorf("operation %d: %q", operation, r.code)
		}
	}
	for _, operation := range []uint8{frame.OpStage, frame.OpForget, frame.OpCancel} {
		c.send(operation, func(e *frame.Encoder) { e.U16(9) }) // these have no answer
	}
	if r := c.call(77, func(*frame.Encoder) {}); r.code != "operation" {
		t.Errorf("an unknown operation: %q", r.code)
	}
	if got := c.eval([]string{"app", "x"}, ""); got != "1" {
		t.Errorf("after all that: %s", got)
	}
}

func TestTheWorkerEndsWithItsConnection(t *testing.T) {
	c := withPolicy(t, Options{}, loopPolicy)
	c.send(frame.OpEval, evalRequest([]string{"app", "slow"}, "")) // under way when the supervisor goes
	c.connection.Close()
	if err := <-c.ended; err != nil {
		t.Errorf("the end of the connection: %v", err)
	}
	broken := connect(t, Options{})
	if _, err := broken.connection.Write(binary.LittleEndian.AppendUint32(nil, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := broken.connection.Write(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if err := <-broken.ended; err == nil {
		t.Error("a broken frame ends the connection without an error")
	}
}

func TestQuestionsWhileSnapshotsChange(t *testing.T) {
	c := connect(t, Options{InFlight: 4})
	module := func(n uint64) string { return fmt.Sprintf("package app\n\nx := [%d, data.n]\n", n) }
	step := func(n uint64) {
		c.stageModule(number(10*n+1), module(n))
		c.stageDocument(number(10*n+2), fmt.Sprint(n))
		next := state{
			number: n, base: n - 1,
			modules: map[string][32]byte{"app.rego": number(10*n + 1)}, documents: map[string][32]byte{"n": number(10*n + 2)},
		}
		if r := c.activate(next); r.code != "" {
			t.Errorf("activate %d: %q %s", n, r.code, r.message)
		}
	}
	step(1)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 200 {
				r := c.call(frame.OpEval, evalRequest([]string{"app", "x"}, ""))
				n := r.U64()
				r.U8()
				r.U8()
				if got, want := r.Str(), fmt.Sprintf("[%d,%d]", n, n); got != want {
					t.Errorf("snapshot %d says %s", n, got)
				}
			}
		})
	}
	for n := uint64(2); n < 60; n++ {
		step(n)
	}
	group.Wait()
}

func TestCheckAndStubsOverTheSocket(t *testing.T) {
	c := connect(t, Options{})
	hash := number(1)
	request := fmt.Sprintf(`{"modules": [{"path": "a.rego", "hash": "%x", "rego_version": 1}], "strict": true}`, hash[:])
	ask := func(operation uint8, text string) *reply {
		return c.call(operation, func(e *frame.Encoder) { e.Str(text) })
	}
	if r := ask(frame.OpCheck, request); r.code != "" || !strings.Contains(r.Str(), fmt.Sprintf("%x", hash[:])) {
		t.Errorf("a check without the text: %q %s", r.code, r.message)
	}
	c.stageModule(hash, "package a\n\nf(x) := y\n")
	if r := ask(frame.OpCheck, request); r.code != "" || !strings.Contains(r.Str(), "rego_unsafe_var_error") {
		t.Errorf("a check: %q %s", r.code, r.message)
	}
	if r := ask(frame.OpCheck, "{"); r.code == "" {
		t.Error("a check that is not JSON has a report")
	}
	stubs := fmt.Sprintf(`{"callers": [], "missing": [{"path": "a.rego", "hash": "%x", "rego_version": 1}]}`, hash[:])
	if r := ask(frame.OpStubs, stubs); r.code != "" || r.Str() != "[]" {
		t.Errorf("stubs: %q %s", r.code, r.message)
	}
}

// A question that never ends holds up neither another one nor its own cancel, whichever goroutine it
// runs on: most of these begin where frames are read.
func TestAnEndlessQuestionHoldsUpNothing(t *testing.T) {
	c := connect(t, Options{})
	c.stageModule(number(1), "package a\n\nquick := 1\n\nendless if {\n\tsome x in numbers.range(1, 1000)\n"+
		"\tsome y in numbers.range(1, 1000)\n\tsome z in numbers.range(1, 1000)\n\tx + y + z < 0\n}\n")
	if r := c.activate(state{number: 1, modules: map[string][32]byte{"a.rego": number(1)}}); r.code != "" {
		t.Fatal(r.message)
	}
	for range 20 {
		// Where one lasted, the next ones are left to the pool.
		c.worker.relay.apart.Store(0)
		id, endless := c.send(frame.OpEval, evalRequest([]string{"a", "endless"}, ""))
		if got := c.eval([]string{"a", "quick"}, ""); got != "1" {
			t.Errorf("beside an endless question: %s", got)
		}
		c.cancel(id)
		if r := replyOf(<-endless); r.code != "cancelled" {
			t.Errorf("code %q, message %q", r.code, r.message)
		}
		for range 10 {
			if got := c.eval([]string{"a", "quick"}, ""); got != "1" {
				t.Errorf("after an endless question: %s", got)
			}
		}
	}
	for c.stats()["in_flight"] != 0 { // who has answered is counted for a moment longer
	}
}

// TestTheRulesForTheLogOverTheSocket has what both kinds of answers carry of a failure, too.
func TestTheRulesForTheLogOverTheSocket(t *testing.T) {
	c := connect(t, Options{})
	c.stageModule(number(1), "package app\n\nx := 1 / input.v\n")
	c.stageModule(number(2), "package system.log\n\nmask contains sprintf(\"/input/%s\", [input.labels.id])\n\ndrop if input.error.code == \"eval_builtin_error\"\n")
	if r := c.activate(state{number: 1, modules: map[string][32]byte{"a.rego": number(1), "l.rego": number(2)}}); r.code != "" {
		t.Fatal(r.code, r.message)
	}
	fill := func(inputs ...string) func(*frame.Encoder) {
		return func(e *frame.Encoder) {
			e.I64(0)
			e.U32(frame.FlagLogRules | frame.FlagStrict)
			e.U8(frame.FormValue)
			e.U8(frame.ExplainOff)
			e.Path([]string{"app", "x"})
			e.Str(`{"labels":{"id":"n1"}}`)
			if len(inputs) != 1 {
				e.U32(uint32(len(inputs)))
			}
			for _, input := range inputs {
				e.Str("")
				e.U8(1)
				e.Str(input)
			}
		}
	}
	const masked, dropped = `{"log":{"mask":[{"op":"remove","path":"/input/n1"}]}}`, `{"log":{"drop":true}}`
	r := c.call(frame.OpEval, fill(`{"v": 2}`))
	r.U64()
	r.U16()
	value := r.Str()
	r.I64()
	r.U64()
	if extras := r.Str(); value != "0.5" || extras != masked || r.End() != nil {
		t.Errorf("%s, extras %s", value, extras)
	}
	r = c.call(frame.OpEval, fill(`{"v": 0}`))
	if r.code != "evaluation" || !strings.Contains(r.details, "eval_builtin_error") || r.extras != dropped || r.End() != nil {
		t.Errorf("%s, details %s, extras %s", r.code, r.details, r.extras)
	}
	r = c.call(frame.OpEvalBatch, fill(`{"v": 0}`, `{"v": 1}`))
	r.U64()
	r.I64()
	r.U64()
	r.U32()
	for i, want := range []string{dropped, masked} {
		r.U16()
		r.Str()
		r.Str()
		r.Str()
		if extras := r.Str(); extras != want {
			t.Errorf("input %d of a batch: extras %s", i, extras)
		}
	}
	if err := r.End(); err != nil {
		t.Error(err)
	}
}
