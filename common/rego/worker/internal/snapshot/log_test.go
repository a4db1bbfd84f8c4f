package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/frame"
)

const appPolicy = `package app

allow if input.user == "ann"

secret := {"token": input.token, "tags": {"b", "a"}, {1, 2}: "by set"}

broken := 1 if input.one

broken := 2 if input.two

strict := to_number(input.user)

f(x) := x
`

func logModule(rules string) map[string]string {
	return map[string]string{"app.rego": appPolicy, "log.rego": "package system.log\n\n" + rules}
}

// logWorld is an engine with the policy and rules for the log.
func logWorld(t *testing.T, rules string) *world {
	t.Helper()
	w := newWorld(t)
	w.activate(release{modules: logModule(rules)})
	return w
}

// memberOf takes a member out of the text of an object; "" for none.
func memberOf(t *testing.T, object []byte, name string) string {
	t.Helper()
	if object == nil {
		return ""
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(object, &members); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	return string(members[name])
}

// logOf is what the log gets of a decision.
func (w *world) logOf(path, input, logEvent string, flags uint32) string {
	w.t.Helper()
	request := ask(path, input, flags|frame.FlagLogRules)
	request.LogEvent = []byte(logEvent)
	decision := w.engine.Evaluate(request, &builtin.Meter{})
	if decision.Failure != nil {
		w.t.Fatal(decision.Failure)
	}
	return memberOf(w.t, decision.Outcomes[0].Extras, "log")
}

// TestMasks has a set, an array, an object rule, values that are no JSON yet, and paths that OPA never
// finds, which are passed on as they are.
func TestMasks(t *testing.T) {
	for _, each := range []struct{ rules, want string }{
		{`mask contains "/input/token"`, `{"mask":[{"op":"remove","path":"/input/token"}]}`},
		{`mask := ["/result", "/input/a"]`, `{"mask":[{"op":"remove","path":"/result"},{"op":"remove","path":"/input/a"}]}`},
		{`mask contains "/input/token" if input.input.user == "ann"`, `{"mask":[{"op":"remove","path":"/input/token"}]}`},
		{`mask contains "/input/token" if input.input.user == "bob"`, ``},
		{`mask contains {"op": "upsert", "path": "/input/token", "value": {"kept": input.input.n, "s": {2, 1}}}`,
			`{"mask":[{"op":"upsert","path":"/input/token","value":{"kept":12345678901234567890123,"s":[1,2]}}]}`},
		{`mask contains {"op": "upsert", "path": "/input/token"}`, `{"mask":[{"op":"upsert","path":"/input/token","value":null}]}`},
		{`mask contains {"op": "remove", "path": "/nd_builtin_cache", "value": 7}`, `{"mask":[{"op":"remove","path":"/nd_builtin_cache"}]}`},
		{`mask := ["/input/e mail", "/input/größe", "/input/a;b", "/input/x~1y", "/input/a%20b"]`,
			`{"mask":[{"op":"remove","path":"/input/e mail"},{"op":"remove","path":"/input/größe"},{"op":"remove","path":"/input/a;b"},` +
				`{"op":"remove","path":"/input/x~1y"},{"op":"remove","path":"/input/a%20b"}]}`},
		{`mask := set()`, ``},
		{`mask := []`, ``},
		{`mask contains "/input/x" if input.never`, ``},
		{`helper := 1`, ``},
		{fmt.Sprintf(`mask := [sprintf("/input/%%d", [i]) | some i in numbers.range(1, %d)]`, maskRulesMax), "64 rules"},
		{fmt.Sprintf(`mask := ["/input/%s"]`, strings.Repeat("p", maskPathMax-7)), "one rule"},
	} {
		got := logWorld(t, each.rules).logOf("app/allow", `{"user": "ann", "token": "t", "n": 12345678901234567890123}`, "", 0)
		switch each.want {
		case "64 rules":
			if n := strings.Count(got, `"op":"remove"`); n != maskRulesMax {
				t.Errorf("%d rules of %d", n, maskRulesMax)
			}
		case "one rule":
			if !strings.HasPrefix(got, `{"mask":[{`) {
				t.Errorf("the longest path: %s", got)
			}
		default:
			if got != each.want {
				t.Errorf("%s: %s, want %s", each.rules, got, each.want)
			}
		}
	}
}

// TestMasksThatFail has what makes OPA lose the event. The decision stays one, and no value of the input
// is in the text.
func TestMasksThatFail(t *testing.T) {
	for rules, want := range map[string]string{
		`mask contains {"op": "delete", "path": "/input/token"}`:                "rule 1: op is neither remove nor upsert",
		`mask contains {"path": "/input/token"}`:                                "rule 1: op is neither remove nor upsert",
		`mask contains {"op": 1, "path": "/input/token"}`:                       "rule 1: op is neither remove nor upsert",
		`mask contains {"op": "remove"}`:                                        "rule 1: the path does not begin with a slash",
		`mask := ["/input/a", input.input.token]`:                               "rule 2: the path does not begin with a slash",
		`mask contains "/labels/id"`:                                            "rule 1: the path begins with neither",
		`mask contains "/inputs"`:                                               "rule 1: the path begins with neither",
		`mask contains "/input/100%"`:                                           "a % in the path",
		`mask contains 7`:                                                       "rule 1: it is a number, not a string or an object",
		`mask := "/input/token"`:                                                "the value is a string, not a set or an array",
		`mask := {"/input/token": true}`:                                        "the value is a object, not a set or an array",
		`mask := false`:                                                         "the value is a boolean, not a set or an array",
		`mask := null`:                                                          "the value is a null, not a set or an array",
		"mask := [input.input.token] if true\n\nmask := [\"/input/b\"] if true": "eval_conflict_error",
		`mask contains "/input/token" if to_number(input.input.token) > 1`:      "log.rego:3: eval_builtin_error: to_number failed",
		`mask(x) := ["/input/token"]`:                                           "used as reference",
		`mask := [sprintf("/input/%d", [i]) | some i in numbers.range(1,65)]`:   "65 rules; 64 are allowed",
		`mask := ["/input/` + strings.Repeat("p", maskPathMax-6) + `"]`:         "the path has 513 bytes; 512 are allowed",
		`mask := [{"op": "upsert", "path": "/input/x", "value": concat("", [x | some i in numbers.range(1, 200); x := sprintf("%08192d", [i])])}]`: "the rules have more than 1048576 bytes",
		"drop if input.input.user == \"ann\"\n\ndrop := false if true":                                                                             "data.system.log.drop: log.rego:5: eval_conflict_error: rule data.system.log.drop produced conflicting values\"",
		`drop if to_number(input.input.token) > 1`:                                                                                                 "data.system.log.drop: log.rego:3: eval_builtin_error",
	} {
		w := logWorld(t, rules)
		request := ask("app/allow", `{"user": "ann", "token": "hunter2"}`, frame.FlagLogRules)
		outcome := w.engine.Evaluate(request, &builtin.Meter{}).Outcomes[0]
		if outcome.Failure != nil || string(outcome.Value) != "true" {
			t.Errorf("%s: the decision is %+v", rules, outcome)
		}
		var log struct{ Error string }
		text := memberOf(t, outcome.Extras, "log")
		if err := json.Unmarshal([]byte(text), &log); err != nil || !strings.Contains(text, want) || strings.Contains(text, "mask\":") {
			t.Errorf("%s: %s, want %s", rules, text, want)
		}
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s shows a secret: %s", rules, text)
		}
	}
}

func TestDrop(t *testing.T) {
	const both = "\n\nmask contains \"/input\""
	for rules, want := range map[string]string{
		`drop if startswith(input.path, "app/")` + both: `{"drop":true}`,
		`drop if input.path == "app/allow"`:             `{"drop":true}`,
		`drop if input.result == true`:                  `{"drop":true}`,
		`drop if input.input.user == "bob"`:             ``,
		`drop := false`:                                 ``,
		`drop := "true"` + both:                         `{"mask":[{"op":"remove","path":"/input"}]}`,
		`drop if input.result == false` + both:          `{"mask":[{"op":"remove","path":"/input"}]}`,
	} {
		if got := logWorld(t, rules).logOf("app/allow", `{"user": "ann"}`, "", 0); got != want {
			t.Errorf("%s: %s, want %s", rules, got, want)
		}
	}
}

// TestTheEvent shows the rules' whole input.
func TestTheEvent(t *testing.T) {
	w := logWorld(t, `mask := [{"op": "upsert", "path": "/input", "value": input}]`)
	event := func(path, input, logEvent string, flags uint32) string {
		t.Helper()
		text := w.logOf(path, input, logEvent, flags)
		text, found := strings.CutPrefix(text, `{"mask":[{"op":"upsert","path":"/input","value":`)
		if !found {
			t.Fatal(text)
		}
		return strings.TrimSuffix(text, "}]}")
	}
	for _, each := range []struct {
		path, input, logEvent string
		flags                 uint32
		want                  string
	}{
		{"app/allow", `{"user":"ann"}`, "", 0, `{"input":{"user":"ann"},"path":"app/allow","result":true}`},
		{"app/allow", `{"user":"bob"}`, "", 0, `{"input":{"user":"bob"},"path":"app/allow"}`},
		{"app/allow", "", "", 0, `{"path":"app/allow"}`},
		{"app/allow", "null", "", 0, `{"input":null,"path":"app/allow"}`},
		{"app/secret", `{"token":1e3}`, "", 0,
			`{"input":{"token":1e3},"path":"app/secret","result":{"[1,2]":"by set","tags":["a","b"],"token":1e3}}`},
		{"app/allow", `{"user":"bob"}`, `{"labels":{"id":"n1"},"requested_by":"1.2.3.4","n":12345678901234567890,"path":"other"}`, 0,
			`{"input":{"user":"bob"},"labels":{"id":"n1"},"n":12345678901234567890,"path":"app/allow","requested_by":"1.2.3.4"}`},
		{"app/allow", `{"user":"bob"}`, "", frame.FlagNonDeterministic, `{"input":{"user":"bob"},"nd_builtin_cache":{},"path":"app/allow"}`},
	} {
		if got := event(each.path, each.input, each.logEvent, each.flags); got != each.want {
			t.Errorf("data.%s with %s: %s, want %s", each.path, each.input, got, each.want)
		}
	}
	conflict := event("app/broken", `{"one":true,"two":true}`, "", 0)
	details := string(w.evaluate("app/broken", `{"one":true,"two":true}`, 0).Details)
	var got struct{ Error, Input, Result json.RawMessage }
	if err := json.Unmarshal([]byte(conflict), &got); err != nil || got.Result != nil || string(got.Input) != `{"one":true,"two":true}` || !sameJSON(t, "["+string(got.Error)+"]", details) {
		t.Errorf("a conflict: %s, want the error of %s", conflict, details)
	}
	if got := event("app/allow", "{", "", 0); !strings.HasPrefix(got, `{"error":{"code":"input","message":"parameter contains malformed input`) {
		t.Errorf("an input that is no JSON: %s", got)
	}
	if got := event("app/f", `{"a":1}`, "", 0); !strings.HasPrefix(got, `{"error":{"code":"evaluation","message":`) || !strings.HasSuffix(got, `"input":{"a":1},"path":"app/f"}`) {
		t.Errorf("a path that cannot be asked: %s", got)
	}
	if got := event("app/allow", `{"user":"ann"}`, "", frame.FlagMetrics); !strings.Contains(got, `"metrics":{"counter_server_query_cache_hit":`) {
		t.Errorf("with metrics: %s", got)
	}
	for _, wrong := range []string{"[]", "{", "7", `"x"`} {
		if got := w.logOf("app/allow", "{}", wrong, 0); !strings.Contains(got, `"error":"the members that the supervisor gave`) {
			t.Errorf("members %s: %s", wrong, got)
		}
	}
}

func TestResultsInTheEventAreJSON(t *testing.T) {
	w := newWorld(t)
	w.activate(release{
		modules: map[string]string{
			"app.rego": "package app\n\nbase := data.base\n\nmixed := [data.base, {1: {\"x\"}}, {[\"k\"]: 2}, {\"plain\": [1, {}]}]\n",
			"log.rego": "package system.log\n\nmask := [{\"op\": \"upsert\", \"path\": \"/input\", \"value\": input.result}]\n",
		},
		documents: map[string]string{"base": `{"list": [{"a": 1}], "n": 1.0}`},
	})
	for path, want := range map[string]string{
		"app/base":  `{"list":[{"a":1}],"n":1.0}`,
		"app/mixed": `[{"list":[{"a":1}],"n":1.0},{"1":["x"]},{"[\"k\"]":2},{"plain":[1,{}]}]`,
		"base/list": `[{"a":1}]`,
	} {
		if got := w.logOf(path, "", "", 0); got != `{"mask":[{"op":"upsert","path":"/input","value":`+want+`}]}` {
			t.Errorf("data.%s: %s, want %s", path, got, want)
		}
	}
}

func TestABatchIsLoggedInputByInput(t *testing.T) {
	w := logWorld(t, "drop if input.input.user == \"bob\"\n\nmask contains sprintf(\"/input/%s\", [input.input.user]) if input.labels.on\n")
	request := ask("app/allow", `{"user": "ann"}`, frame.FlagLogRules)
	request.LogEvent = []byte(`{"labels":{"on":true}}`)
	for _, text := range []string{`{"user": "bob"}`, "{", `{"user": "eve"}`} {
		request.Inputs = append(request.Inputs, frame.Input{Present: true, Text: []byte(text)})
	}
	outcomes := w.engine.Evaluate(request, &builtin.Meter{}).Outcomes
	for i, want := range []string{`{"mask":[{"op":"remove","path":"/input/ann"}]}`, `{"drop":true}`, ``, `{"mask":[{"op":"remove","path":"/input/eve"}]}`} {
		if got := memberOf(t, outcomes[i].Extras, "log"); got != want {
			t.Errorf("input %d: %s, want %s", i, got, want)
		}
	}
	request.Path = []string{"app", "f"}
	decision := w.engine.Evaluate(request, &builtin.Meter{})
	if got := memberOf(t, decision.Extras, "log"); decision.Failure == nil || !strings.HasPrefix(got, `{"error":"the question failed before`) {
		t.Errorf("a batch that cannot be asked: %v, %s", decision.Failure, got)
	}
}

// TestWithoutRulesNothingIsDone looks for a unit of the rules, which is made when it is asked for.
func TestWithoutRulesNothingIsDone(t *testing.T) {
	w := newWorld(t)
	w.activate(release{modules: map[string]string{"app.rego": appPolicy, "other.rego": "package system.logs\n\nmask := 1\n"}})
	if w.engine.active.Load().log.exist() {
		t.Error("rules were found where none are")
	}
	request := ask("app/allow", `{"user": "ann"}`, frame.FlagLogRules)
	request.LogEvent = []byte("no JSON")
	if outcome := w.engine.Evaluate(request, &builtin.Meter{}).Outcomes[0]; outcome.Extras != nil || string(outcome.Value) != "true" {
		t.Errorf("the outcome is %+v", outcome)
	}
	plain, logged := ask("app/allow", `{"user": "ann"}`, 0), request
	allocations := func(request frame.Eval) float64 {
		return testing.AllocsPerRun(200, func() { w.engine.Evaluate(request, &builtin.Meter{}) })
	}
	if a, b := allocations(plain), allocations(logged); b > a+1 {
		t.Errorf("%v allocations without the flag, %v with it", a, b)
	}
	if known := w.engine.active.Load().paths.get(pathKey(maskPath)); known != nil {
		t.Error("the mask was asked")
	}
	w.activate(release{modules: map[string]string{"log.rego": "package system.log\n\nmask contains \"/input\"\n"}})
	if outcome := w.evaluate("app/allow", `{"user": "ann"}`, 0); outcome.Extras != nil {
		t.Errorf("without the flag: %s", outcome.Extras)
	}
	if got := w.logOf("app/allow", "{}", "", 0); got == "" {
		t.Error("the rules of the next snapshot are not used")
	}
	w.activate(release{gone: []string{"log.rego"}})
	if got := w.logOf("app/allow", "{}", "", 0); got != "" {
		t.Errorf("rules that are gone: %s", got)
	}
}

func TestWhereRulesAre(t *testing.T) {
	for text, want := range map[string]string{
		"package system\n\nlog := {\"mask\": [\"/input\"]}\n":             "error", // no drop in it: OPA loses the event
		"package system\n\nlog.mask := [\"/input\"]\n":                    "mask",
		"package system.log.mask\n\nx := 1\n":                             "error",
		"package system.log\n\nmask[\"/input\"] if true\n":                "error",
		"package system\n\nlog.drop := true\n":                            "drop",
		"package system.log\n\nimport rego.v1\n\ndrop := data.other.no\n": "",
	} {
		w := newWorld(t)
		w.activate(release{modules: map[string]string{"app.rego": appPolicy, "log.rego": text}})
		if got := w.logOf("app/allow", "{}", "", 0); want == "" && got != "" || want != "" && !strings.HasPrefix(got, `{"`+want+`":`) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	w := newWorld(t)
	w.activate(release{modules: map[string]string{"app.rego": appPolicy}, documents: map[string]string{"system/log": `{"mask": ["/input/a", {"op": "upsert", "path": "/input/b", "value": {"c": [1.0]}}]}`}})
	if got := w.logOf("app/allow", "{}", "", 0); got != `{"mask":[{"op":"remove","path":"/input/a"},{"op":"upsert","path":"/input/b","value":{"c":[1.0]}}]}` {
		t.Errorf("a mask in base data: %s", got)
	}
	w.activate(release{documents: map[string]string{"system/log": `{"drop": true}`}})
	if got := w.logOf("app/allow", "{}", "", 0); got != `{"drop":true}` {
		t.Errorf("a drop in base data: %s", got)
	}
	// A withheld ledger takes its masks with it: what they hid must not come to light.
	w = newWorld(t)
	w.activate(release{modules: logModule("mask contains \"/input\"\n"), withheld: map[string]bool{"log.rego": true}})
	if got := w.logOf("app/allow", "{}", "", 0); got != `{"error":"the rules for the log in log.rego are withheld"}` {
		t.Errorf("a mask that is withheld: %s", got)
	}
}

func TestTheRulesSeeTheSameClock(t *testing.T) {
	w := logWorld(t, `mask := [sprintf("/input/%d", [time.now_ns()])]`)
	request := ask("app/allow", "{}", frame.FlagLogRules)
	decision := w.engine.Evaluate(request, &builtin.Meter{})
	want := fmt.Sprintf(`{"mask":[{"op":"remove","path":"/input/%d"}]}`, decision.Time)
	if got := memberOf(t, decision.Outcomes[0].Extras, "log"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestACancelledMaskDoesNotLoseTheDecision(t *testing.T) {
	w := logWorld(t, "mask contains \"/input\" if {\n\tsome a in numbers.range(1, 1000000)\n\tsome b in numbers.range(1, 1000000)\n\ta + b < 0\n}\n")
	meter := &builtin.Meter{}
	done := make(chan Decision)
	go func() {
		request := ask("app/allow", `{"user": "ann"}`, frame.FlagLogRules)
		done <- w.engine.Evaluate(request, meter)
	}()
	for !w.wasAsked(maskPath) {
		runtime.Gosched()
	}
	meter.Cancel()
	decision := <-done
	outcome := decision.Outcomes[0]
	if outcome.Failure != nil || string(outcome.Value) != "true" {
		t.Errorf("the decision is %+v", outcome)
	}
	if got := memberOf(t, outcome.Extras, "log"); got != `{"error":"data.system.log.mask: cancelled by the supervisor"}` {
		t.Errorf("log %s", got)
	}
	meter = &builtin.Meter{}
	meter.Cancel()
	outcome = w.engine.Evaluate(ask("app/allow", "{}", frame.FlagLogRules), meter).Outcomes[0]
	if got := memberOf(t, outcome.Extras, "log"); outcome.Failure == nil || outcome.Failure.Code != "cancelled" || !strings.Contains(got, "cancelled") {
		t.Errorf("cancelled before it began: %+v, log %s", outcome.Failure, got)
	}
}

func (w *world) wasAsked(segments []string) bool {
	active := w.engine.active.Load()
	active.mutex.Lock()
	defer active.mutex.Unlock()
	return active.paths.get(pathKey(segments)) != nil
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal([]byte(a), &x), json.Unmarshal([]byte(b), &y)); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}
