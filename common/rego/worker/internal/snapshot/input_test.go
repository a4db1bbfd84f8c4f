package snapshot

import (
	"strings"
	"testing"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/frame"
)

// TestFormsOfAnInput has what this package decides itself; the texts are compared with OPA's server by
// the supervisor's tests.
func TestFormsOfAnInput(t *testing.T) {
	w := newWorld(t)
	w.activate(release{modules: map[string]string{"a.rego": "package a\n\nseen := input\n\nnone if not input\n"}})
	const value, body, yaml, plain, plainYAML = frame.FormValue, frame.FormBody, frame.FormBodyYAML, frame.FormPlainBody, frame.FormPlainBodyYAML
	deep := strings.Repeat("[", 100_000)
	for _, each := range []struct {
		form       uint8
		text, want string
	}{
		{value, `{"a": 1, "a": 123456789012345678901234567890}`, `{"a":123456789012345678901234567890}`},
		{value, `null`, `null`},
		{value, ``, `input: parameter contains malformed input document: EOF`},
		{value, `1 2`, `input: parameter contains malformed input document: error: invalid character '2' after top-level value`},
		{body, `{"input": 1e400}`, `1e400`},
		{body, `{"INPUT": [1], "other": {"input": 2}} trailing`, `[1]`},
		{body, `{"input": 1, "input": {"x": 2}}`, `{"x":2}`},
		{body, `{"input": null}`, `no input`},
		{body, `{}`, `no input`},
		{body, `null`, `no input`},
		{body, " \n", `no input`},
		{body, ``, `no input`},
		{body, `[1]`, `input: body contains malformed input document: json: cannot unmarshal array into Go value of type types.alias`},
		{body, `{"input":`, `input: body contains malformed input document: unexpected EOF`},
		{body, deep, `input: body contains malformed input document: invalid character '[' exceeded max depth`},
		{yaml, "input:\n  a: 0x10\n", `{"a":16}`},
		{yaml, ``, `no input`},
		{plain, `{"input": 1}`, `{"input":1}`},
		{plain, ``, `null`},
		{plain, `nul`, `input: unexpected parse error for input: body contains malformed input document: unexpected EOF`},
		{plainYAML, `a: [1, b]`, `{"a":[1,"b"]}`},
		{plainYAML, deep, `input: unexpected parse error for input: body contains malformed input document: `},
		{9, `1`, `input: an unknown form of input: 9`},
	} {
		request := ask("a/seen", " ", 0)
		request.Form, request.Inputs[0].Text = each.form, []byte(each.text)
		outcome := w.engine.Evaluate(request, &builtin.Meter{}).Outcomes[0]
		got := string(outcome.Value)
		switch {
		case outcome.Failure != nil:
			got = outcome.Failure.Error()
		case !outcome.Defined:
			got = "no input"
		}
		if got != each.want && !(strings.HasSuffix(each.want, ": ") && strings.HasPrefix(got, each.want)) {
			t.Errorf("form %d, %.50s: %.200s, want %s", each.form, each.text, got, each.want)
		}
		if outcome.Input != outcome.Defined {
			t.Errorf("form %d, %.50s: has input %v", each.form, each.text, outcome.Input)
		}
	}
	if outcome := w.evaluate("a/none", "", 0); outcome.Input || !outcome.Defined {
		t.Errorf("without an input: %+v", outcome)
	}
}

func TestWhetherARuleExists(t *testing.T) {
	w := newWorld(t)
	w.activate(release{
		modules:   map[string]string{"a.rego": "package a.b\n\nx.y := input.v if input\n\nf(_) := 1\n"},
		documents: map[string]string{"d": `{"e": 1}`},
	})
	for path, want := range map[string]bool{"a/b/x/y": true, "a/b/x/y/z": true, "a/b/x": false, "a/b": false, "a": false, "d/e": false, "d/f": false, "": false} {
		if got := w.engine.Evaluate(ask(path, "", 0), &builtin.Meter{}).Ruled; got != want {
			t.Errorf("data.%s: %v", path, got)
		}
	}
}
