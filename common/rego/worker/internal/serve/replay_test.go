package serve

import (
	"testing"

	"notp.core-platform.internal/notp-pdp/internal/frame"
)

func (c *client) replay(path []string, at int64, recorded string, hidden ...[]string) *reply {
	return c.call(frame.OpReplay, func(e *frame.Encoder) {
		e.I64(at)
		e.U32(0)
		e.U8(frame.FormValue)
		e.U8(frame.ExplainOff)
		e.Path(path)
		e.Str("")
		e.Str("")
		e.U8(0)
		e.Str("")
		e.U16(uint16(len(hidden)))
		for _, each := range hidden {
			e.Path(each)
		}
		e.Str(recorded)
	})
}

func TestReplay(t *testing.T) {
	c := withPolicy(t, Options{}, "package app\n\nwhen := time.now_ns()\n\ndice := rand.intn(\"a\", 6)\n")
	if got := valueOf(c.replay([]string{"app", "when"}, 42, "")); got != "42" {
		t.Errorf("the clock: %s", got)
	}
	if got := valueOf(c.replay([]string{"app", "dice"}, 42, `{"rand.intn":{"[\"a\",6]":600}}`)); got != "600" {
		t.Errorf("a recorded result: %s", got)
	}
	if r := c.replay([]string{"app", "dice"}, 42, ""); r.code != "unrecorded" || r.message != "rand.intn" {
		t.Errorf("what is missing: %q %q", r.code, r.message)
	}
	if r := c.replay([]string{"app", "when"}, 0, ""); r.code != "unrecorded" || r.message != "time.now_ns" {
		t.Errorf("an unknown clock: %q %q", r.code, r.message)
	}
	if r := c.replay([]string{"app", "dice"}, 42, "{"); r.code != "recorded" {
		t.Errorf("results that cannot be read: %q %q", r.code, r.message)
	}
	if got := valueOf(c.replay([]string{"app", "when"}, 42, "", []string{"a"}, nil)); got != "false" {
		t.Errorf("a dependence on the input: %s", got)
	}
	if got := valueOf(c.replay([]string{"app", "when"}, 0, "", []string{"a"})); got != "true" {
		t.Errorf("nothing is known: %s", got)
	}
	if r := c.call(frame.OpReplay, evalRequest([]string{"app", "when"}, "")); r.code != "frame" {
		t.Errorf("an eval's frame: %q %q", r.code, r.message)
	}
	if got := c.eval([]string{"app", "dice"}, ""); len(got) != 1 {
		t.Errorf("an evaluation after replays: %s", got)
	}
}
