package snapshot

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
)

// bombs are rules that take minutes or gigabytes in OPA. Each must end by a cancel or by a bound.
var bombs = map[string]string{
	"graph.reachable_paths":  `x := graph.reachable_paths({v: [w | some w in numbers.range(1, 80); w != v] | some v in numbers.range(1, 80)}, [1])`,
	"graph.reachable":        `x := graph.reachable({v: [w | some w in numbers.range(1, 400); w > ((v / 20) * 20)] | some v in numbers.range(1, 400)}, [1])`,
	"bits.lsh":               `x := bits.lsh(1, 10000000000)`,
	"json.patch doubling":    `x := json.patch({"a": {"b": [1, 2, 3]}}, [{"op": "copy", "from": "/a", "path": sprintf("/a/c%d", [i])} | some i in numbers.range(1, 200)])`,
	"regex.replace":          `x := regex.replace(s20, "a", s20)`,
	"regex.replace groups":   `x := regex.replace(s20, "(a+)", concat("", ["$1" | some _ in numbers.range(1, 1000)]))`,
	"strings.replace_n":      `x := strings.replace_n({"a": s20}, s20)`,
	"replace":                `x := replace(s20, "a", s20)`,
	"concat doubling":        `x := count(concat("", [concat("", [s20 | some _ in numbers.range(1, 20)]) | some _ in numbers.range(1, 1000)]))`,
	"many large texts":       `x := count({sprintf("%s%d", [s20, i]) | some i in numbers.range(1, 100000)})`,
	"sprintf widths":         `x := sprintf(concat("", ["%[1]1000000d" | some _ in numbers.range(1, 10000)]), [1])`,
	"numbers.range":          `x := count(numbers.range(1, 100000000000))`,
	"array.concat doubling":  `x := count(array.concat(array.concat(r21, r21), r21))`,
	"product of powers":      `x := bits.lsh(1, 290000) * bits.lsh(1, 290000)`,
	"product":                `x := product([bits.lsh(1, 290000) | some _ in numbers.range(1, 1000)])`,
	"units.parse":            `x := units.parse(concat("", ["1" | some _ in numbers.range(1, 200000)]))`,
	"split":                  `x := count(split(concat("", [s20, s20, s20, s20]), ""))`,
	"net.cidr_expand":        `x := count(net.cidr_expand("::/0"))`,
	"json of shared parts":   `x := count(json.marshal([d6, d6, d6, d6, d6, d6, d6, d6, d6, d6]))`,
	"yaml of shared parts":   `x := count(yaml.marshal([d6, d6, d6, d6, d6, d6, d6, d6, d6, d6]))`,
	"indents":                `x := count(json.marshal_with_options(d3, {"indent": s20}))`,
	"result of shared parts": `x := [d6, d6, d6, d6, d6, d6, d6, d6, d6, d6]`,
	"result that is large":   `x := [s20, s20, s20]`,
	"indexof of runes":       `x := indexof(replace(s20, "a", "é"), concat("", [replace(substring(s20, 0, 500000), "a", "é"), "b"]))`,
	"trim":                   `x := trim(replace(s20, "a", "é"), replace(s20, "a", "é"))`,
	"endless loop":           `x := [1 | some i in numbers.range(1, 10000); some j in numbers.range(1, 10000); some k in numbers.range(1, 10000); i + j + k < 0]`,
	"growing comprehension":  `x := count([[i, j] | some i in numbers.range(1, 100000); some j in numbers.range(1, 100000)])`,
	"walk":                   `x := count([p | walk([d6, d6, d6, d6], [p, _])])`,
}

const bombHelpers = `package bomb

# A text of a million letters, an array of a million numbers, trees of ten branches.
s20 := data.big.text

r21 := numbers.range(1, 1000000)

d1 := [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]

d2 := [d1, d1, d1, d1, d1, d1, d1, d1, d1, d1]

d3 := [d2, d2, d2, d2, d2, d2, d2, d2, d2, d2]

d4 := [d3, d3, d3, d3, d3, d3, d3, d3, d3, d3]

d5 := [d4, d4, d4, d4, d4, d4, d4, d4, d4, d4]

d6 := [d5, d5, d5, d5, d5, d5, d5, d5, d5, d5]

`

func TestBombsEnd(t *testing.T) {
	big := `{"text": "` + strings.Repeat("a", 1<<20) + `"}`
	for name, rule := range bombs {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.engine.options.ResultMax = 2 << 20
			w.activate(release{
				modules:   map[string]string{"bomb.rego": bombHelpers + rule + "\n"},
				documents: map[string]string{"big": big},
			})
			w.expect("bomb/d1", "", "[1,2,3,4,5,6,7,8,9,10]") // the unit is compiled before time counts
			meter := &builtin.Meter{}
			timer := time.AfterFunc(200*time.Millisecond, meter.Cancel)
			defer timer.Stop()
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			decision := w.engine.Evaluate(ask("bomb/x", "", 0), meter)
			runtime.ReadMemStats(&after)
			if decision.Failure != nil {
				t.Fatal(decision.Failure)
			}
			outcome := decision.Outcomes[0]
			if outcome.Failure == nil {
				t.Fatalf("an answer of %d bytes", len(outcome.Value))
			}
			allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%v, %d MiB allocated, %s", decision.Spent.Round(time.Millisecond), allocated, outcome.Failure)
			if allocated > 2048 {
				t.Errorf("%d MiB allocated", allocated)
			}
			switch outcome.Failure.Code {
			case "cancelled", "result_too_large":
			default:
				if !strings.Contains(outcome.Failure.Message, "eval_limit_error") {
					t.Errorf("failed as %s", outcome.Failure)
				}
			}
		})
	}
}

// TestABoundNeverLooksUndefined: a negation of a call beyond a bound must not hold.
func TestABoundNeverLooksUndefined(t *testing.T) {
	w := newWorld(t)
	w.activate(release{modules: map[string]string{"a.rego": "package a\n\nallow if not bits.lsh(1, input.n) < 0\n"}})
	w.expect("a/allow", `{"n": 10}`, "true")
	w.expect("a/allow", `{"n": 10000000000}`, "evaluation: a.rego:3: eval_limit_error: bits.lsh")
}
