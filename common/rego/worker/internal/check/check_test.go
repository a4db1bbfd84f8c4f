package check

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

// staged is content as the worker keeps it. It counts what is asked of it.
type staged map[Hash]string

func (s staged) Text(hash Hash) (string, bool) {
	text, ok := s[hash]
	return text, ok
}

func (s staged) Document(hash Hash) (any, error, bool) {
	text, ok := s[hash]
	if !ok {
		return nil, nil, false
	}
	var value any
	err := util.UnmarshalJSON([]byte(text), &value)
	return value, err, true
}

// model is what a test asks about: texts by path. What ends in ".json" is a document, mounted at its
// folder.
type model struct {
	files  map[string]string
	v0     bool
	allow  []string
	plain  bool // no strict mode
	cover  bool
	facts  map[string]*keptFacts
	good   []string
	staged staged
	wanted []string // paths that were asked for, sorted
	oneMs  int
	allMs  int
	most   int
	needs  bool // and nothing else
}

func (m *model) request() []byte {
	type each map[string]any
	modules, documents := []each{}, []each{}
	for path, text := range m.files {
		hash := sha256.Sum256([]byte(text))
		one := each{"path": path, "hash": hex.EncodeToString(hash[:])}
		if strings.HasSuffix(path, ".json") {
			mount := strings.Split(path, "/")
			one["mount"] = mount[:len(mount)-1]
			documents = append(documents, one)
			continue
		}
		one["rego_version"] = 1
		if m.v0 {
			one["rego_version"] = 0
		}
		modules = append(modules, one)
	}
	raw, err := json.Marshal(map[string]any{
		"modules": modules, "documents": documents, "capabilities": each{"allow": m.allow}, "strict": !m.plain,
		"tests": each{"run": true, "coverage": m.cover, "one_ms": m.oneMs, "all_ms": m.allMs},
		"facts": m.facts, "good": m.good, "findings_max": m.most, "needs_only": m.needs,
	})
	if err != nil {
		panic(err)
	}
	return raw
}

// ask stages what is wanted until there is a report.
func (m *model) ask(t *testing.T) *Report {
	t.Helper()
	m.staged = staged{}
	m.wanted = nil
	for range 4 {
		raw, err := Check(context.Background(), m.staged, m.request(), func(Step) {})
		if err != nil {
			t.Fatal(err)
		}
		report := &Report{}
		if err := json.Unmarshal(raw, report); err != nil {
			t.Fatal(err)
		}
		if len(report.Want) == 0 {
			slices.Sort(m.wanted)
			return report
		}
		for path, text := range m.files {
			hash := sha256.Sum256([]byte(text))
			if slices.Contains(report.Want, hex.EncodeToString(hash[:])) {
				m.staged[hash] = text
				m.wanted = append(m.wanted, path)
			}
		}
	}
	t.Fatal("it wants more and more")
	return nil
}

// again remembers what a report found, as a caller does.
func (m *model) again(report *Report) {
	if m.facts == nil {
		m.facts = map[string]*keptFacts{}
	}
	maps.Copy(m.facts, report.Facts)
	m.good = report.Good
}

func places(report *Report) []string {
	all := []string{}
	for _, each := range report.Findings {
		kind := "error"
		if each.Warning {
			kind = "warning"
		}
		first, _, _ := strings.Cut(each.Message, "\n")
		all = append(all, kind+" "+each.Path+":"+itoa(each.Row)+" "+each.Code+": "+first)
	}
	return all
}

func itoa(n int) string {
	text, _ := json.Marshal(n)
	return string(text)
}

func tests(report *Report) []string {
	all := []string{}
	for _, each := range report.Tests {
		name := strings.Join(append([]string{each.Package + "." + each.Name}, each.Trail...), "/")
		all = append(all, each.Outcome+" "+each.Path+":"+itoa(each.Row)+" "+name)
	}
	return all
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFindingsOfAllFiles(t *testing.T) {
	m := &model{files: map[string]string{
		"a.rego": "package a\n\nallow if {\n\tx :=\n}\n",
		"b.rego": "package b\n\nallow if }\n",
		"c.rego": "package c\n\nx := 1\n",
	}}
	same(t, "findings", places(m.ask(t)), []string{
		"error a.rego:5 rego_parse_error: unexpected } token",
		"error b.rego:3 rego_parse_error: unexpected } token",
	})
	m = &model{files: map[string]string{
		"a.rego": "package a\n\nallow if data.b.f(1, 2, 3)\n\ndeny if not h(w)\n",
		"b.rego": "package b\n\nf(x) := x\n\ng if count(1) == 2\n",
	}}
	report := m.ask(t)
	same(t, "findings", places(report), []string{
		"error a.rego:3 rego_type_error: function data.b.f has arity 1, got 3 arguments",
		"error a.rego:5 rego_type_error: undefined function h",
		"error b.rego:5 rego_type_error: count: invalid argument(s)",
	})
	if !strings.Contains(report.Findings[2].Message, "have: (number, ???)") {
		t.Errorf("no details: %q", report.Findings[2].Message)
	}
	m.most = 1
	same(t, "findings", places(m.ask(t)), []string{
		"error a.rego:3 rego_type_error: function data.b.f has arity 1, got 3 arguments",
		"error :0 rego_compile_error: error limit reached",
	})
}

// Of one place the parser may say two things; `opa check` prints both.
func TestAParseErrorIsAsOPASaysIt(t *testing.T) {
	m := &model{files: map[string]string{"lib.rego": "package lib\n\nf(x) := \n"}}
	same(t, "findings", places(m.ask(t)), []string{
		"error lib.rego:4 rego_parse_error: unexpected eof token",
		"error lib.rego:4 rego_parse_error: unexpected eof token: expected function value term (e.g., f(...) := <VALUE> { ... })"})
}

// Variables that the compiler makes have numbers that go through all modules.
func TestErrorsAreThoseOfOneCompile(t *testing.T) {
	m := &model{files: map[string]string{
		"a.rego": "package a\n\nx if {\n\tsome y in input.z\n\tw := y\n\tw == 1\n}\n",
		"b.rego": "package b\n\nx if {\n\ty := 1\n\tz := print(y)\n}\n",
		"c.rego": "package c\n\nx := count(1)\n", // a later step: one compile does not come to it
	}}
	modules := map[string]*ast.Module{}
	for path, text := range m.files {
		modules[path] = ast.MustParseModuleWithOpts(text, ast.ParserOptions{ProcessAnnotation: true})
	}
	compiler := ast.NewCompiler().WithEnablePrintStatements(true).WithStrict(true)
	compiler.Compile(modules)
	numbered := ""
	for _, each := range compiler.Errors {
		if each.Code == ast.TypeErr {
			numbered = each.Message
		}
	}
	if !strings.Contains(numbered, "__local") {
		t.Fatalf("no variable in %v", compiler.Errors)
	}
	want := []string{
		"error b.rego:5 rego_type_error: " + numbered,
		"error c.rego:3 rego_type_error: count: invalid argument(s)",
		"warning b.rego:5 rego_compile_error: assigned var z unused",
	}
	report := m.ask(t)
	same(t, "findings", places(report), want)
	m.again(report) // what compiled before is not wanted for itself, but for the numbers
	same(t, "findings", places(m.ask(t)), want)
	same(t, "wanted", m.wanted, []string{"a.rego", "b.rego", "c.rego"})
}

func TestStrictModeWarns(t *testing.T) {
	m := &model{files: map[string]string{
		"lib.rego": "package lib\n\nimport data.a\n\nf(x, unused) := x\n",
		"a.rego":   "package a\n\nimport data.lib\n\nx := lib.f(1, 2)\n",
		"t.rego":   "package t\n\ntest_x if data.a.x == 1\n",
	}}
	report := m.ask(t)
	want := []string{
		"warning lib.rego:3 rego_compile_error: import data.a unused",
		"warning lib.rego:5 rego_compile_error: unused argument unused. (hint: use _ (wildcard variable) instead)",
	}
	same(t, "findings", places(report), want)
	same(t, "tests", tests(report), []string{"pass t.rego:3 data.t.test_x"})
	m.again(report)
	report = m.ask(t)
	same(t, "findings", places(report), want)
	same(t, "wanted", m.wanted, []string{"lib.rego"}) // those who use it are good for all that
	m.plain, m.good, m.facts = true, nil, nil
	same(t, "findings", places(m.ask(t)), []string{})
}

// OPA names one of several cycles, by chance: in strict mode maybe another one than without.
func TestARuleInSeveralCyclesIsOneError(t *testing.T) {
	for range 50 {
		m := &model{files: map[string]string{"a.rego": "package a\n\nloop if loop\n\nloop if b\n\nb if loop\n"}}
		report := m.ask(t)
		if len(report.Findings) != 3 {
			t.Fatalf("findings %v", report.Findings)
		}
		for _, each := range report.Findings {
			if each.Warning || each.Code != ast.RecursionErr || !strings.Contains(each.Message, "is recursive: data.a.") {
				t.Errorf("finding %v", each)
			}
		}
	}
}

func TestV0TextGivenAsV1(t *testing.T) {
	text := "package a\n\np { input.x }\n\nq[x] { x := input.y }\n"
	m := &model{files: map[string]string{"a.rego": text, "b.rego": "package b\n\nx = 1 { true }\n"}}
	report := m.ask(t)
	same(t, "findings", places(report), []string{
		"error :0 : a.rego, b.rego: this is Rego v0. `opa fmt --write --v0-v1` rewrites it for v1; " +
			"runtimes.<name>.language.version \"0\" in the manifest keeps it as it is",
		"error a.rego:3 rego_parse_error: `if` keyword is required before rule body",
		"error a.rego:5 rego_parse_error: `contains` keyword is required for partial set rules",
		"error a.rego:5 rego_parse_error: `if` keyword is required before rule body",
		"error b.rego:3 rego_parse_error: `if` keyword is required before rule body",
	})
	m.v0 = true
	report = m.ask(t)
	same(t, "findings", places(report), []string{})
	if !report.Needs.RegoV0 {
		t.Error("it needs Rego v0")
	}
}

func TestTestsAsOPARunsThem(t *testing.T) {
	m := &model{oneMs: 2_000, files: map[string]string{
		"a.rego":         "package a\n\nallow if input.role == \"admin\"\n\nlimit := data.shop.limit\n",
		"shop/data.json": `{"limit": 3}`,
		"a_test.rego": `package a_test

test_admin if data.a.allow with input as {"role": "admin"}

test_stranger if {
	print("asked", 1 + 1)
	data.a.allow with input as {"role": "guest"}
}

test_roles[role] if {
	some role, want in {"admin": true, "guest": false, "root": true}
	got := [1 | data.a.allow with input as {"role": role}]
	(count(got) > 0) == want
}

todo_test_later if false

test_slow if count([1 | numbers.range(1, 20000)[_] == numbers.range(1, 20000)[_]]) == 0

test_broken if f(1) == 1

f(1) := 1

f(x) := 2 if x > 0

test_data if data.a.limit == 3
`}}
	report := m.ask(t)
	same(t, "findings", places(report), []string{})
	same(t, "tests", tests(report), []string{
		"pass a_test.rego:3 data.a_test.test_admin",
		"fail a_test.rego:5 data.a_test.test_stranger",
		"pass a_test.rego:10 data.a_test.test_roles/admin",
		"pass a_test.rego:10 data.a_test.test_roles/guest",
		"fail a_test.rego:10 data.a_test.test_roles/root",
		"skip a_test.rego:16 data.a_test.todo_test_later",
		"error a_test.rego:18 data.a_test.test_slow",
		"error a_test.rego:20 data.a_test.test_broken",
		"pass a_test.rego:26 data.a_test.test_data",
	})
	same(t, "where they fail", []string{report.Tests[1].Message, report.Tests[4].Message}, []string{
		"fail at a_test.rego:7\n\tdata.a.allow with input as {\"role\": \"guest\"}\n\t|\n\tundefined",
		"fail at a_test.rego:13\n\t(count(got) > 0) == want\n\t |     |            |\n\t |     |            true\n" +
			"\t |     []\n\t count(got): 0\n\t (count(got) > 0): false"})
	if got := report.Tests[1].Output; got != "asked 2\n" {
		t.Errorf("output %q", got)
	}
	if got := report.Tests[6].Message; got != "it took more than 2000 ms of processor time" {
		t.Errorf("message %q", got)
	}
	if got := report.Tests[7].Message; !strings.Contains(got, "eval_conflict_error") ||
		!strings.Contains(got, "a_test.rego:24") {
		t.Errorf("message %q", got)
	}
	for _, each := range report.Good {
		if strings.HasPrefix(each, goodTests) {
			t.Error("failed tests are good")
		}
	}
}

func TestTimeOfAllTests(t *testing.T) {
	slow := "count([1 | numbers.range(1, 20000)[_] == numbers.range(1, 20000)[_]]) == 0\n"
	m := &model{oneMs: 60_000, allMs: 1_500, files: map[string]string{
		"t.rego": "package t\n\ntest_a if " + slow + "\ntest_b if true\n"}}
	report := m.ask(t)
	same(t, "tests", tests(report), []string{"error t.rego:3 data.t.test_a", "error t.rego:5 data.t.test_b"})
	same(t, "messages", []string{report.Tests[0].Message, report.Tests[1].Message}, []string{
		"stopped: all tests together took more than 1500 ms of processor time",
		"not run: all tests together took more than 1500 ms of processor time"})
}

func TestNothingIsDoneTwice(t *testing.T) {
	m := &model{files: map[string]string{
		"lib.rego":          "package lib\n\nf(x) := x\n",
		"a.rego":            "package a\n\nx := data.lib.f(data.conf.a)\n",
		"b.rego":            "package b\n\ny := data.conf.b\n",
		"a_test.rego":       "package a_test\n\ntest_a if data.a.x == 1\n\ntodo_test_b if false\n",
		"b_test.rego":       "package b_test\n\ntest_b if data.b.y == 2\n\ntest_c[n] if some n in [\"1\", \"2\"]\n",
		"now_test.rego":     "package now_test\n\ntest_now if time.now_ns() > 0\n",
		"mocked_test.rego":  "package mocked_test\n\ntest_now if time.now_ns() == 5 with time.now_ns as 5\n",
		"conf/a/data.json":  "1",
		"conf/b/data.json":  "2",
		"other/x/data.json": "3",
	}}
	first := m.ask(t)
	all := []string{"pass a_test.rego:3 data.a_test.test_a", "skip a_test.rego:5 data.a_test.todo_test_b",
		"pass b_test.rego:3 data.b_test.test_b", "pass b_test.rego:5 data.b_test.test_c/1",
		"pass b_test.rego:5 data.b_test.test_c/2", "pass mocked_test.rego:3 data.mocked_test.test_now",
		"pass now_test.rego:3 data.now_test.test_now"}
	same(t, "findings", places(first), []string{})
	same(t, "tests", tests(first), all)
	same(t, "wanted", m.wanted, slices.Sorted(maps.Keys(m.files)))

	// What depends on the clock runs again; what is to be skipped stays in sight.
	m.again(first)
	second := m.ask(t)
	same(t, "tests", tests(second), []string{all[1], all[6]})
	same(t, "wanted", m.wanted, []string{"now_test.rego"})
	same(t, "good", second.Good, first.Good)
	if second.TestsKnown != 5 {
		t.Errorf("%d tests are known", second.TestsKnown)
	}

	// Facts that another version found are not trusted.
	for key, kept := range m.facts {
		m.facts[key] = &keptFacts{By: "0,1.0.0", Facts: kept.Facts}
	}
	other := m.ask(t)
	same(t, "good", other.Good, first.Good)
	if len(m.wanted) != 7 || len(other.Facts) != 7 {
		t.Errorf("wanted %v", m.wanted)
	}
	m.again(other)

	// A document changes: the tests that reach it run, and nothing is compiled.
	m.files["conf/a/data.json"] = "7"
	third := m.ask(t)
	same(t, "tests", tests(third), []string{"fail a_test.rego:3 data.a_test.test_a", all[1], all[6]})
	same(t, "wanted", m.wanted, []string{"a.rego", "a_test.rego", "conf/a/data.json", "lib.rego", "now_test.rego"})

	// A function that others use changes its arity.
	m.files["conf/a/data.json"] = "1"
	m.files["lib.rego"] = "package lib\n\nf(x, y) := x + y\n"
	fourth := m.ask(t)
	same(t, "findings", places(fourth), []string{
		"error a.rego:3 rego_type_error: function data.lib.f has arity 2, got 1 argument"})
	same(t, "tests", tests(fourth), []string{})
}

func TestHeadsAgainstData(t *testing.T) {
	m := &model{files: map[string]string{
		"a.rego":                   "package shop\n\nlimit := 3\n\nusers contains \"x\"\n\nother := 1\n",
		"deep.rego":                "package shop.flat.rules\n\nx := 1\n",
		"shop/data.json":           `{"limit": 4, "flat": "text", "unrelated": 1}`,
		"shop/users/all/data.json": `[]`,
	}}
	same(t, "findings", places(m.ask(t)), []string{
		"error a.rego:3 rego_compile_error: conflicting rule for data path shop/limit found",
		"error a.rego:5 rego_compile_error: conflicting rule for data path shop/users found",
		"error deep.rego:3 rego_compile_error: conflicting rule for data path shop/flat/rules/x found",
	})
	// OPA puts a key that is no text beside base data.
	m = &model{files: map[string]string{"a.rego": "package shop\n\nlimit[1] := 3\n", "shop/data.json": `{"limit": {"a": 4}}`}}
	same(t, "findings", places(m.ask(t)), []string{})
	m = &model{files: map[string]string{"a.rego": "package shop\n\nlimit := 3\n", "shop/data.json": `{"max": 4}`}}
	report := m.ask(t)
	same(t, "findings", places(report), []string{})
	m.again(report)
	same(t, "findings", places(m.ask(t)), []string{})
	same(t, "wanted", m.wanted, nil)
	m.files["b.rego"] = "package shop\n\nmax := 3\n"
	same(t, "findings", places(m.ask(t)), []string{
		"error b.rego:3 rego_compile_error: conflicting rule for data path shop/max found"})
	same(t, "wanted", m.wanted, []string{"a.rego", "b.rego", "shop/data.json"})
}

func TestDocuments(t *testing.T) {
	m := &model{files: map[string]string{
		"a/data.json": `{"b": {"c": 1}, "x": 1}`, "a/b/data.json": `{"d": 2}`, "a/b/more.json": `{"c": 3}`,
	}}
	same(t, "findings", places(m.ask(t)), []string{
		"error a/data.json:0 data_error: merge error: conflicting values at data.a.b.c, also defined in a/b/more.json"})
	m = &model{files: map[string]string{"data.json": `[1]`, "a/data.json": `{"b": `}}
	found := m.ask(t).Findings
	if len(found) != 2 || found[0].Path != "a/data.json" || found[1].Message != "document must be of type object" {
		t.Errorf("findings %v", found)
	}
}

func TestCapabilitiesAndNeeds(t *testing.T) {
	m := &model{files: map[string]string{"a.rego": `package a

import future.keywords.and

greeting := $"hello {input.name}"

parts := strings.split_n("a,b,c", ",", 2)

sent := http.send({"method": "get", "url": input.url})

both if (input.x and input.y)

deep := input.if.not
`}}
	report := m.ask(t)
	same(t, "findings", places(report), []string{"error a.rego:9 rego_type_error: undefined function http.send"})
	if message := report.Findings[0].Message; !strings.HasSuffix(message, "\na ledger has it only where registry and nodes allow it") {
		t.Errorf("message %q", message)
	}
	m.allow = []string{"http.send"}
	report = m.ask(t)
	same(t, "findings", places(report), []string{})
	same(t, "built-ins", report.Needs.Builtins, []string{"http.send", "strings.split_n"})
	same(t, "features", report.Needs.Features,
		[]string{"future.keywords.and", "keywords_in_refs", "template_strings"})
	m.allow, m.needs = nil, true // what it needs is known without all that
	report = m.ask(t)
	same(t, "findings", places(report), []string{})
	same(t, "built-ins", report.Needs.Builtins, []string{"http.send", "strings.split_n"})
}

func TestCoverage(t *testing.T) {
	m := &model{cover: true, files: map[string]string{
		"a.rego":      "package a\n\nx := 1 if input.a\n\ny := 2\n",
		"a_test.rego": "package a_test\n\ntest_y if data.a.y == 2\n",
	}}
	first := m.ask(t)
	m.again(first)
	for _, report := range []*Report{first, m.ask(t)} {
		var coverage struct {
			Files map[string]struct {
				Covered, NotCovered []struct{ Start struct{ Row int } } `json:",omitempty"`
				Coverage            float64
			}
			Coverage float64
		}
		if err := json.Unmarshal(report.Coverage, &coverage); err != nil {
			t.Fatal(err)
		}
		if coverage.Files["a.rego"].Coverage == 0 || coverage.Files["a.rego"].Coverage == 100 ||
			coverage.Files["a_test.rego"].Coverage != 100 {
			t.Errorf("coverage %s", report.Coverage)
		}
		same(t, "tests", tests(report), []string{"pass a_test.rego:3 data.a_test.test_y"})
	}
}

func TestStubs(t *testing.T) {
	texts := map[string]string{
		"lib.rego": "package pay.lib\n\nnear(x, y) if x < y\n\nnear(x, y) if y == 0\n\ntwice(x) := 2 * x\n\n" +
			"unused(x) := x\n\nvalue := 7\n",
		"odd.rego": "package pay[\"a-b\"]\n\nf(_) := 1\n",
		"a.rego": "package a\n\nimport data.pay.lib\nimport data.pay.lib.twice as double\n\nok if lib.near(1, 2)\n\n" +
			"four := double(2)\n\nplain := data.pay.lib.value\n\nodd := data.pay[\"a-b\"].f(1)\n",
	}
	content := staged{}
	file := func(path string) map[string]any {
		hash := sha256.Sum256([]byte(texts[path]))
		return map[string]any{"path": path, "hash": hex.EncodeToString(hash[:]), "rego_version": 1}
	}
	raw, _ := json.Marshal(map[string]any{"callers": []any{file("a.rego")}, "missing": []any{file("lib.rego"), file("odd.rego")}})
	var problem *Failed
	if _, err := Stubs(content, raw); !errors.As(err, &problem) || problem.Code != "missing" ||
		strings.Count(problem.Message, ",") != 2 {
		t.Errorf("got %v", err)
	}
	for _, text := range texts {
		content[sha256.Sum256([]byte(text))] = text
	}
	answer, err := Stubs(content, raw)
	if err != nil {
		t.Fatal(err)
	}
	var stubs []string
	if err := json.Unmarshal(answer, &stubs); err != nil || len(stubs) != 2 {
		t.Fatalf("got %s", answer)
	}
	m := &model{plain: true, files: map[string]string{"a.rego": texts["a.rego"], "s0.rego": stubs[0], "s1.rego": stubs[1],
		"t.rego": "package t\n\ntest_rest if not data.a.ok\n\ntest_four if not data.a.four\n"}}
	report := m.ask(t)
	same(t, "findings", places(report), []string{})
	same(t, "tests", tests(report), []string{"pass t.rego:3 data.t.test_rest", "pass t.rego:5 data.t.test_four"})
	if strings.Contains(strings.Join(stubs, "\n"), "unused") {
		t.Errorf("stubs %q", stubs)
	}
}

func TestBadRequests(t *testing.T) {
	for _, raw := range []string{`{`, `{"modules": [{"path": "a", "hash": "00", "rego_version": 1}]}`,
		`{"modules": [{"path": "a", "hash": "` + strings.Repeat("00", 32) + `"}, {"path": "a", "hash": "` +
			strings.Repeat("00", 32) + `"}]}`} {
		var problem *Failed
		if _, err := Check(context.Background(), staged{}, []byte(raw), func(Step) {}); !errors.As(err, &problem) ||
			problem.Code != "request" {
			t.Errorf("%s: got %v", raw, err)
		}
	}
}
