package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

// program is a line of the command programs.
type program struct {
	Seed    int64
	Modules []struct {
		Key, Text   string
		RegoVersion int `json:"rego_version"`
	}
	Documents []struct {
		Key   string
		Mount []string
		Value json.RawMessage
	}
	Paths  [][]string
	Inputs []json.RawMessage
	TimeNs int64 `json:"time_ns"`
	Patch  struct {
		Key     string
		Changes []json.RawMessage
		Value   json.RawMessage
	}
	Change struct {
		Key, Text   string
		RegoVersion int `json:"rego_version"`
	}
	Stages []struct {
		Name    string
		Answers [][]struct {
			Value   json.RawMessage
			Code    string
			Message string
		}
	}
	Tests []struct {
		Path, Package, Name, Outcome string
		Trail                        []string
	}
	Strict []string
	Broken []struct {
		Key, Text string
		Findings  []string
	}
}

// notJSON marks an answer that OPA cannot give as JSON.
const notJSON = "not_json"

func driveProgram(w *worker, r *report, raw []byte) error {
	p := &program{}
	if err := json.Unmarshal(raw, p); err != nil {
		return err
	}
	if err := p.check(w, r); err != nil {
		return err
	}
	for _, step := range []struct {
		do    func(*worker) error
		stage int
	}{{p.cold, 0}, {p.patched, 1}, {p.changed, 2}, {p.takenOver, 2}} {
		if err := step.do(w); err != nil {
			if asFailure(err) == nil {
				return err
			}
			r.differs("program", "seed %d, %s: %v", p.Seed, p.Stages[step.stage].Name, err)
			return nil
		}
		if err := p.ask(w, r, step.stage); err != nil {
			return err
		}
	}
	r.count("programs")
	return nil
}

func (p *program) stageAll(w *worker, patched, changed bool) error {
	var modules []activeModule
	for _, m := range p.Modules {
		if changed && m.Key == p.Change.Key {
			m.Text = p.Change.Text
		}
		h, err := w.stageModule(m.Text)
		if err != nil {
			return err
		}
		modules = append(modules, activeModule{key: m.Key, hash: h, version: m.RegoVersion})
	}
	var documents []activeDocument
	for _, d := range p.Documents {
		if patched && d.Key == p.Patch.Key {
			d.Value = p.Patch.Value
		}
		h, err := w.stageDocument(d.Value)
		if err != nil {
			return err
		}
		documents = append(documents, activeDocument{key: d.Key, mount: d.Mount, hash: h})
	}
	return w.activate(true, modules, documents, "")
}

func (p *program) cold(w *worker) error { return p.stageAll(w, false, false) }

func (p *program) patched(w *worker) error {
	for _, d := range p.Documents {
		if d.Key != p.Patch.Key {
			continue
		}
		result := sha256.Sum256(p.Patch.Value)
		changes, err := json.Marshal(p.Patch.Changes)
		if err != nil {
			return err
		}
		if err := w.stagePatch(result, sha256.Sum256(d.Value), changes); err != nil {
			return err
		}
		return w.activate(false, nil, []activeDocument{{key: d.Key, mount: d.Mount, hash: result}}, "")
	}
	return fmt.Errorf("no document %s", p.Patch.Key)
}

func (p *program) changed(w *worker) error {
	h, err := w.stageModule(p.Change.Text)
	if err != nil {
		return err
	}
	return w.activate(false, []activeModule{{key: p.Change.Key, hash: h, version: p.Change.RegoVersion}}, nil, "")
}

// takenOver starts from nothing, as a standby does.
func (p *program) takenOver(w *worker) error {
	if err := w.drop(); err != nil {
		return err
	}
	return p.stageAll(w, true, true)
}

func (p *program) ask(w *worker, r *report, stage int) error {
	for i, path := range p.Paths {
		for j, input := range p.Inputs {
			want := p.Stages[stage].Answers[i][j]
			value, defined, err := w.evaluate(path, input, p.TimeNs, 0)
			failed := asFailure(err)
			if err != nil && failed == nil {
				return fmt.Errorf("seed %d, %v: %w", p.Seed, path, err)
			}
			if problem := differs(value, defined, failed, want.Value, want.Code); problem != "" {
				r.differs("answer", "seed %d, %s, %s, input %d: %s", p.Seed, p.Stages[stage].Name, strings.Join(path, "/"), j, problem)
				continue
			}
			r.count("answers as OPA gives them")
			if failed == nil && defined && value != string(want.Value) {
				r.count("answers with the same value written otherwise")
			}
		}
	}
	return nil
}

func differs(value string, defined bool, failed *failure, want json.RawMessage, code string) string {
	switch {
	case failed != nil && code == "":
		return fmt.Sprintf("%v, want %s", failed, orUndefined(want))
	case failed != nil && code != notJSON && !strings.Contains(failed.message, code):
		return fmt.Sprintf("%v, want %s", failed, code)
	case failed != nil:
		return ""
	case code != "":
		return fmt.Sprintf("%s, want %s", value, code)
	case defined != (want != nil):
		return fmt.Sprintf("%q, want %s", value, orUndefined(want))
	case defined && !equal(value, string(want)):
		return fmt.Sprintf("%s, want %s", value, want)
	}
	return ""
}

func orUndefined(value json.RawMessage) string {
	if value == nil {
		return "undefined"
	}
	return string(value)
}

func equal(a, b string) bool {
	if a == b {
		return true
	}
	var x, y any
	if util.UnmarshalJSON([]byte(a), &x) != nil || util.UnmarshalJSON([]byte(b), &y) != nil {
		return false
	}
	return ast.MustInterfaceToValue(x).Compare(ast.MustInterfaceToValue(y)) == 0
}

// checkReport is what is looked at of a report.
type checkReport struct {
	Want     []string
	Findings []struct {
		Path, Code, Message string
		Row                 int
		Warning             bool
	}
	Tests []struct {
		Path, Package, Name, Outcome, Message string
		Trail                                 []string
	}
	TestsKnown int `json:"tests_known"`
	Facts      map[string]json.RawMessage
	Good       []string
}

// check has the program judged: cold, and once more with what is known.
func (p *program) check(w *worker, r *report) error {
	facts, good := map[string]json.RawMessage{}, []string{}
	for _, state := range []string{"cold", "again"} {
		report, err := p.checkOnce(w, facts, good)
		if failed := asFailure(err); failed != nil {
			r.differs("check", "seed %d: %v", p.Seed, failed)
			return nil
		} else if err != nil {
			return err
		}
		p.judgeReport(r, state, report)
		maps.Copy(facts, report.Facts)
		good = report.Good
	}
	for i := range p.Broken {
		if err := p.checkBroken(w, r, i, facts, good); err != nil {
			return err
		}
	}
	return nil
}

// checkBroken has a damaged program judged, by a worker that knows the good one. It must find all that
// OPA finds, and nothing where OPA finds nothing.
func (p *program) checkBroken(w *worker, r *report, number int, facts map[string]json.RawMessage, good []string) error {
	broken := &p.Broken[number]
	damaged := *p
	damaged.Modules = slices.Clone(p.Modules)
	for i := range damaged.Modules {
		if damaged.Modules[i].Key == broken.Key {
			damaged.Modules[i].Text = broken.Text
		}
	}
	report, err := damaged.checkOnce(w, facts, good)
	if failed := asFailure(err); failed != nil {
		r.differs("check", "seed %d, broken %d: %v", p.Seed, number, failed)
		return nil
	} else if err != nil {
		return err
	}
	got := findingsOf(report)
	missing := slices.DeleteFunc(slices.Clone(broken.Findings), func(each string) bool { return slices.Contains(got, each) })
	isError := func(each string) bool { return strings.HasPrefix(each, "ERROR ") }
	switch {
	case len(missing) > 0:
		r.differs("broken", "seed %d, broken %d: not found:\n%s\nbut:\n%s", p.Seed, number, strings.Join(missing, "\n"), strings.Join(got, "\n"))
	case len(got) > len(broken.Findings) && !slices.ContainsFunc(broken.Findings, isError):
		r.differs("broken", "seed %d, broken %d: found:\n%s\nwant:\n%s", p.Seed, number, strings.Join(got, "\n"), strings.Join(broken.Findings, "\n"))
	case len(got) > len(broken.Findings):
		r.count("broken programs with more findings than OPA gives at once")
	case slices.ContainsFunc(got, isError):
		r.count("broken programs with OPA's findings")
	default:
		r.count("damaged programs that are good for all that")
	}
	return nil
}

func (p *program) checkOnce(w *worker, facts map[string]json.RawMessage, good []string) (*checkReport, error) {
	type object map[string]any
	texts := map[string]func() error{}
	modules, documents := []object{}, []object{}
	for _, m := range p.Modules {
		h := hexOf([]byte(m.Text))
		modules = append(modules, object{"path": m.Key, "hash": h, "rego_version": m.RegoVersion})
		texts[h] = func() error { _, err := w.stageModule(m.Text); return err }
	}
	for _, d := range p.Documents {
		h := hexOf(d.Value)
		documents = append(documents, object{"path": d.Key, "mount": d.Mount, "hash": h})
		texts[h] = func() error { _, err := w.stageDocument(d.Value); return err }
	}
	request, err := json.Marshal(object{"modules": modules, "documents": documents, "strict": true, "facts": facts, "good": good,
		"tests": object{"run": true}, "findings_max": 10_000})
	if err != nil {
		return nil, err
	}
	for range 4 {
		answer, err := w.check(request)
		if err != nil {
			return nil, err
		}
		report := &checkReport{}
		if err := json.Unmarshal([]byte(answer), report); err != nil {
			return nil, err
		}
		if len(report.Want) == 0 {
			return report, nil
		}
		for _, h := range report.Want {
			if err := texts[h](); err != nil {
				return nil, err
			}
		}
	}
	return nil, &failure{"want", "it wants more and more"}
}

func hexOf(text []byte) string {
	h := sha256.Sum256(text)
	return hex.EncodeToString(h[:])
}

// findingsOf leaves out the hint that a file is Rego v0, which OPA does not give.
func findingsOf(report *checkReport) []string {
	findings := []string{}
	for _, each := range report.Findings {
		kind := "ERROR "
		if each.Warning {
			kind = ""
		}
		message, _, _ := strings.Cut(each.Message, "\n")
		if !strings.Contains(message, "v0-v1") {
			findings = append(findings, fmt.Sprintf("%s%s:%d %s: %s", kind, each.Path, each.Row, each.Code, message))
		}
	}
	slices.Sort(findings)
	return slices.Compact(findings)
}

func (p *program) judgeReport(r *report, state string, report *checkReport) {
	findings := findingsOf(report)
	if !slices.Equal(findings, p.Strict) {
		r.differs("findings", "seed %d, %s:\n%s\nwant:\n%s", p.Seed, state, strings.Join(findings, "\n"), strings.Join(p.Strict, "\n"))
	} else {
		r.count("checks with OPA's findings")
	}
	var got, want []string
	for _, each := range report.Tests {
		got = append(got, fmt.Sprintf("%s %s %s.%s %v", each.Outcome, each.Path, each.Package, each.Name, each.Trail))
	}
	for _, each := range p.Tests {
		want = append(want, fmt.Sprintf("%s %s %s.%s %v", each.Outcome, each.Path, each.Package, each.Name, each.Trail))
	}
	slices.Sort(got)
	slices.Sort(want)
	if state == "again" && report.TestsKnown > 0 { // all passed, or are to be skipped
		want = slices.DeleteFunc(want, func(each string) bool { return strings.HasPrefix(each, "pass") })
	}
	if !slices.Equal(got, want) {
		r.differs("tests", "seed %d, %s:\n%s\nwant:\n%s", p.Seed, state, strings.Join(got, "\n"), strings.Join(want, "\n"))
	} else {
		r.count("checks with OPA's test results")
	}
}
