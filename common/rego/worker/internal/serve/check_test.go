package serve

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"notp.core-platform.internal/notp-pdp/internal/frame"
)

func checkRequest(text string) func(*frame.Encoder) {
	hash := sha256.Sum256([]byte(text))
	return func(e *frame.Encoder) {
		e.Str(fmt.Sprintf(`{"modules": [{"path": "a.rego", "hash": "%s", "rego_version": 1}], "strict": true,
			"tests": {"run": true, "one_ms": 60000}}`, hex.EncodeToString(hash[:])))
	}
}

func TestCheckWantsWhatIsNotStaged(t *testing.T) {
	c := connect(t, Options{})
	text := "package a\n\ntest_x if input.x\n"
	hash := sha256.Sum256([]byte(text))
	if got := string(c.call(frame.OpCheck, checkRequest(text)).Bytes()); got != `{"want":["`+hex.EncodeToString(hash[:])+`"]}` {
		t.Errorf("report %s", got)
	}
	c.stageModule(hash, text)
	var report struct{ Tests []struct{ Outcome string } }
	answer := c.call(frame.OpCheck, checkRequest(text)).Bytes()
	if err := json.Unmarshal(answer, &report); err != nil || len(report.Tests) != 1 || report.Tests[0].Outcome != "fail" {
		t.Errorf("report %s", answer)
	}
	if r := c.call(frame.OpCheck, func(e *frame.Encoder) { e.Str("{") }); r.code != "request" {
		t.Errorf("code %q", r.code)
	}
}

// However late a forget is carried out: a check after it wants what was forgotten, and what is staged
// after it stays.
func TestACheckAfterAForget(t *testing.T) {
	c := connect(t, Options{})
	policy, data := "package a\n\ntest_x if data.x == 1\n", `{"x": 1}`
	module, document := sha256.Sum256([]byte(policy)), sha256.Sum256([]byte(data))
	check := func(e *frame.Encoder) {
		e.Str(fmt.Sprintf(`{"modules": [{"path": "a.rego", "hash": "%x", "rego_version": 1}],
			"documents": [{"path": "data.json", "hash": "%x", "mount": []}], "tests": {"run": true, "one_ms": 60000}}`,
			module, document))
	}
	forget := func(e *frame.Encoder) {
		e.U32(2)
		e.Hash(module)
		e.Hash(document)
	}
	late := make(chan struct{})
	stage := func() {
		c.stageModule(module, policy)
		c.stageDocument(document, data)
	}
	stage()
	c.worker.control.push(func() { <-late })
	c.send(frame.OpForget, forget)
	_, first := c.send(frame.OpCheck, check)
	c.stats() // all of it has been read
	close(late)
	if got := string(replyOf(<-first).Bytes()); !strings.HasPrefix(got, `{"want":`) ||
		!strings.Contains(got, hex.EncodeToString(module[:])) || !strings.Contains(got, hex.EncodeToString(document[:])) {
		t.Errorf("after a forget: %s", got)
	}

	late = make(chan struct{})
	stage()
	c.worker.control.push(func() { <-late })
	c.send(frame.OpForget, forget)
	stage()
	_, second := c.send(frame.OpCheck, check)
	c.stats()
	close(late)
	if got := string(replyOf(<-second).Bytes()); !strings.Contains(got, `"outcome":"pass"`) {
		t.Errorf("staged after a forget: %s", got)
	}
}

// A supervisor that stops a check, or finds it dead, can say which test it was.
func TestARunningTestHasAName(t *testing.T) {
	c := connect(t, Options{})
	text := "package a\n\ntest_long if {\n\tsome x in numbers.range(1, 1000000)\n\tsome y in numbers.range(1, 1000000)\n\tx + y < 0\n}\n"
	c.stageModule(sha256.Sum256([]byte(text)), text)
	id, done := c.send(frame.OpCheck, checkRequest(text))
	if step := <-c.steps; step != "1 a.rego:3 data.a.test_long" {
		t.Errorf("step %q", step)
	}
	c.cancel(id)
	if r := replyOf(<-done); r.code != "cancelled" {
		t.Errorf("code %q, message %q", r.code, r.message)
	}
	if step := <-c.steps; step != "0 a.rego:3 data.a.test_long" {
		t.Errorf("step %q", step)
	}
}
