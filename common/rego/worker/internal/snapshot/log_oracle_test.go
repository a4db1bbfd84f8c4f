package snapshot

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"notp.core-platform.internal/notp-pdp/internal/frame"
)

// oracleSource is what OPA's masks need around them; its plugin for the log needs more modules than the
// worker has.
const oracleSource = `package logs

type EventV1 struct {
	Input          *any     ` + "`json:\"input,omitempty\"`" + `
	Result         *any     ` + "`json:\"result,omitempty\"`" + `
	NDBuiltinCache *any     ` + "`json:\"nd_builtin_cache,omitempty\"`" + `
	Erased         []string ` + "`json:\"erased,omitempty\"`" + `
	Masked         []string ` + "`json:\"masked,omitempty\"`" + `
	Error          string   ` + "`json:\"error,omitempty\"`" + `
}

func Apply(mask any, event *EventV1) {
	rules, err := newMaskRuleSet(mask, func(*maskRule, error) {})
	if err != nil {
		*event = EventV1{Error: "lost"}
		return
	}
	rules.Mask(event)
}
`

const oracleMain = `package main

import (
	"encoding/json"
	"os"

	"github.com/open-policy-agent/opa/v1/plugins/logs"
)

func main() {
	input, output := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	input.UseNumber()
	for {
		var each struct {
			Mask  any
			Event logs.EventV1
		}
		if input.Decode(&each) != nil {
			return
		}
		logs.Apply(each.Mask, &each.Event)
		if output.Encode(each.Event) != nil {
			return
		}
	}
}
`

// buildOracle builds a program that applies masks with OPA's own code, from the source of the module.
func buildOracle(t *testing.T) string {
	t.Helper()
	source, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/open-policy-agent/opa").Output()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	write := func(name string, text []byte) {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"internal/deepcopy/deepcopy.go", "v1/util/slices.go", "v1/plugins/logs/mask.go"} {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(source)), name))
		if err != nil {
			t.Fatal(err)
		}
		write(name, text)
	}
	write("go.mod", []byte("module github.com/open-policy-agent/opa\n\ngo 1.26.0\n"))
	write("v1/plugins/logs/oracle.go", []byte(oracleSource))
	write("main.go", []byte(oracleMain))
	build := exec.Command("go", "build", "-o", "oracle", ".")
	build.Dir = folder
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(folder, "oracle")
}

const maskedInput = `{"user": "ann", "token": "t", "list": [1, {"x": 2}, [3, 4]], "deep": {"a": {"b": 1e3}}, "n": 12345678901234567890123}`

// oracleMasks are rules whose value OPA takes, and others that make it lose the event.
var oracleMasks = []string{
	`mask contains "/input/token"`,
	`mask contains "/input"`,
	`mask contains "/result"`,
	`mask contains "/result/tags/0"`,
	`mask contains "/input/list/1"`,
	`mask contains "/input/list/1/x"`,
	`mask contains "/input/list/9"`,
	`mask contains "/input/none/none"`,
	`mask contains "/input/"`,
	`mask := ["/input/list/0", "/input/list/0", "/input/token"]`,
	"mask contains \"/input/token\"\n\nmask contains \"/input/deep/a\"\n\nmask contains {\"op\": \"upsert\", \"path\": \"/input/deep/a/b\", \"value\": 1}",
	`mask contains {"op": "remove", "path": "/input/token"}`,
	`mask contains {"op": "upsert", "path": "/input/token", "value": {"a": {2, 1}, "n": input.input.n}}`,
	`mask contains {"op": "upsert", "path": "/input/new/deeper", "value": [null, true, 1.50]}`,
	`mask contains {"op": "upsert", "path": "/input", "value": object.remove(input.input, ["token"])}`,
	`mask contains {"op": "upsert", "path": "/input/token"}`,
	`mask contains {"op": "upsert", "path": "/result/token", "value": "***"}`,
	`mask contains {"op": "upsert", "path": "/nd_builtin_cache", "value": {}}`,
	`mask contains {"op": "upsert", "path": "/input/list/0", "value": {1: {["k"]: "v"}}}`,
	`mask contains {"op": "remove", "path": "/input/token", "more": 1}`,
	`mask contains {"op": "move", "path": "/input/token"}`,
	`mask contains {"op": "", "path": "/input/token"}`,
	`mask contains {"op": ["remove"], "path": "/input/token"}`,
	`mask contains {"path": "/input/token"}`,
	`mask contains {"op": "remove"}`,
	`mask contains {"op": "remove", "path": 7}`,
	`mask contains {"op": "remove", "path": ""}`,
	`mask contains ""`,
	`mask contains "input/token"`,
	`mask contains "/input2/token"`,
	`mask contains "/error"`,
	`mask contains "/input/%zz"`,
	`mask contains "/input/%41"`,
	`mask contains ["/input/token"]`,
	`mask contains null`,
	`mask contains {"/input/token"}`,
	`mask := {"a": 1}`,
	`mask := "/input"`,
	`mask := true`,
	`mask := null`,
	`mask := 3`,
	`mask := [["/input"]]`,
	`mask := []`,
}

// TestMasksAreThoseOfOPA compares what is left of an event when OPA applies the value of the rule, and when
// it applies what the log gets.
func TestMasksAreThoseOfOPA(t *testing.T) {
	type question struct {
		Mask  json.RawMessage
		Event map[string]json.RawMessage
	}
	var questions bytes.Buffer
	ask := json.NewEncoder(&questions)
	failed := make([]bool, len(oracleMasks))
	for i, rules := range oracleMasks {
		w := logWorld(t, rules)
		input := `{"user": "ann", "token": "t"}`
		result := w.evaluate("app/secret", input, 0).Value
		event := map[string]json.RawMessage{"input": json.RawMessage(maskedInput), "result": result, "nd_builtin_cache": json.RawMessage("{}")}
		raw := w.evaluate("system/log/mask", `{"input": `+maskedInput+`}`, 0)
		if raw.Failure != nil || !raw.Defined {
			t.Fatalf("%s: %v", rules, raw.Failure)
		}
		log := w.logOf("app/secret", maskedInput, "", frame.FlagNonDeterministic)
		mask := "[]"
		if log != "" {
			failed[i] = memberOf(t, []byte(log), "error") != ""
			mask = cmp.Or(memberOf(t, []byte(log), "mask"), mask)
		}
		for _, each := range []question{{raw.Value, event}, {json.RawMessage(mask), event}} {
			if err := ask.Encode(each); err != nil {
				t.Fatal(err)
			}
		}
	}
	oracle := exec.Command(buildOracle(t))
	oracle.Stdin = &questions
	out, err := oracle.Output()
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if err != nil || len(lines) != 2*len(oracleMasks) {
		t.Fatalf("%v: %d answers", err, len(lines))
	}
	lost := 0
	for i, rules := range oracleMasks {
		opas, ours := lines[2*i], lines[2*i+1]
		isLost := opas == `{"error":"lost"}`
		if isLost != failed[i] {
			t.Errorf("%s: OPA has %s, and the log gets an error: %v", rules, opas, failed[i])
		}
		if isLost {
			lost++
		} else if opas != ours {
			t.Errorf("%s: OPA leaves %s, and with what the log gets %s", rules, opas, ours)
		}
	}
	if lost == 0 || lost == len(oracleMasks) {
		t.Errorf("OPA loses %d of %d", lost, len(oracleMasks))
	}
	t.Logf("%d masks, %d of which lose the event in OPA", len(oracleMasks), lost)
}
