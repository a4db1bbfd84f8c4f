package snapshot

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/frame"
)

const extrasPolicy = `package a

x := [time.now_ns(), rand.intn("k", 1000)]

y if 1 / input.v

# METADATA
# labels:
#   team: red
z if {
	trace("seen")
	input.v == 1
}
`

// extrasOf evaluates and takes the extras apart.
func extrasOf(t *testing.T, w *world, path, input string, flags uint32, explain uint8) map[string]json.RawMessage {
	t.Helper()
	request := ask(path, input, flags)
	request.Explain = explain
	outcome := w.engine.Evaluate(request, &builtin.Meter{}).Outcomes[0]
	if outcome.Failure != nil {
		t.Fatal(outcome.Failure)
	}
	extras := map[string]json.RawMessage{}
	if outcome.Extras != nil {
		if err := json.Unmarshal(outcome.Extras, &extras); err != nil {
			t.Fatal(err, string(outcome.Extras))
		}
	}
	return extras
}

func TestExtrasAreWhatWasAskedFor(t *testing.T) {
	w := newWorld(t)
	w.activate(release{modules: map[string]string{"a.rego": extrasPolicy}})
	for _, each := range []struct {
		path, input string
		flags       uint32
		explain     uint8
		want        string
	}{
		{"a/x", "", 0, 0, ""},
		{"a/x", "", frame.FlagStrict, 0, ""},
		{"a/x", "", frame.FlagNonDeterministic, 0, "nd_builtin_cache"},
		{"a/z", `{"v": 1}`, frame.FlagNonDeterministic, 0, ""},
		{"a/y", `{"v": 0}`, frame.FlagBuiltinErrors, 0, "builtin_errors"},
		{"a/y", `{"v": 1}`, frame.FlagBuiltinErrors, 0, ""},
		{"a/z", `{"v": 1}`, frame.FlagRuleLabels, 0, "rule_labels"},
		{"a/z", `{"v": 2}`, frame.FlagRuleLabels, 0, ""},
		{"a/z", `{"v": 1}`, frame.FlagPretty, 0, ""},
		{"a/z", `{"v": 1}`, 0, frame.ExplainNotes, "explanation"},
		{"a/z", `{"v": 2}`, 0, frame.ExplainNotes, ""},
		{"a/z", `{"v": 2}`, 0, frame.ExplainFails, ""},
		{"a/z", `{"v": 2}`, 0, frame.ExplainDebug, ""},
		{"a/z", `{"v": 2}`, 0, frame.ExplainFull, "explanation"},
		{"a/x", "", frame.FlagMetrics | frame.FlagNonDeterministic, frame.ExplainFull, "explanation metrics nd_builtin_cache"},
	} {
		extras := extrasOf(t, w, each.path, each.input, each.flags, each.explain)
		if got := strings.Join(slices.Sorted(maps.Keys(extras)), " "); got != each.want {
			t.Errorf("data.%s with flags %d, explain %d: %q, want %q", each.path, each.flags, each.explain, got, each.want)
		}
	}
}

func TestExplanations(t *testing.T) {
	w := newWorld(t)
	w.activate(release{modules: map[string]string{"a.rego": extrasPolicy}})
	pretty := func(explain uint8) (lines []string) {
		extras := extrasOf(t, w, "a/z", `{"v": 1}`, frame.FlagPretty, explain)
		if err := json.Unmarshal(extras["explanation"], &lines); err != nil {
			t.Fatal(err, string(extras["explanation"]))
		}
		return lines
	}
	notes := strings.Join(pretty(frame.ExplainNotes), "|")
	if want := "query:1       Enter data.a.z = _|a.rego:10     | Enter data.a.z|a.rego:11     | | Note \"seen\""; notes != want {
		t.Errorf("notes %s", notes)
	}
	if full, debug := pretty(frame.ExplainFull), pretty(frame.ExplainDebug); len(full) <= 3 || len(debug) <= len(full) {
		t.Errorf("%d lines in full, %d to debug", len(full), len(debug))
	}
	var events []map[string]any
	if err := json.Unmarshal(extrasOf(t, w, "a/z", `{"v": 1}`, 0, frame.ExplainNotes)["explanation"], &events); err != nil || len(events) != 3 {
		t.Fatalf("%v %v", events, err)
	}
	if events[2]["op"] != "note" || events[2]["message"] != "seen" {
		t.Errorf("the last event %v", events[2])
	}
}

func TestMetricsHaveTheNamesOfOPAsServer(t *testing.T) {
	w := newWorld(t)
	w.activate(release{modules: map[string]string{"a.rego": extrasPolicy}})
	names := func(flags uint32) string {
		var all map[string]any
		if err := json.Unmarshal(extrasOf(t, w, "a/z", `{"v": 1}`, flags, 0)["metrics"], &all); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(all["counter_server_query_cache_hit"], " ", strings.Join(slices.Sorted(maps.Keys(all)), " "))
	}
	always := "counter_server_query_cache_hit timer_rego_input_parse_ns timer_rego_query_eval_ns timer_server_handler_ns"
	first := strings.Replace(always, "timer_rego_query_eval", "timer_rego_query_compile_ns timer_rego_query_eval", 1)
	if got := names(frame.FlagMetrics); got != "0 "+first {
		t.Errorf("of the first question: %s", got)
	}
	if got := names(frame.FlagMetrics); got != "1 "+always {
		t.Errorf("of the second: %s", got)
	}
	if got := names(frame.FlagInstrument); !strings.Contains(got, " histogram_eval_op_plug ") || !strings.Contains(got, " timer_server_handler_ns") {
		t.Errorf("with instrumentation: %s", got)
	}
	batch := ask("a/z", `{"v": 1}`, frame.FlagMetrics)
	batch.Path, batch.Inputs = []string{"a", "y"}, append(batch.Inputs, batch.Inputs[0])
	for i, outcome := range w.engine.Evaluate(batch, &builtin.Meter{}).Outcomes {
		if want := fmt.Sprintf(`"counter_server_query_cache_hit":%d`, i); !strings.Contains(string(outcome.Extras), want) {
			t.Errorf("input %d of a batch: %s", i, outcome.Extras)
		}
	}
}
