package builtin

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// answer calls a function; the error's text, if it fails.
func answer(f topdown.BuiltinFunc, cancel topdown.Cancel, operands ...*ast.Term) (result string) {
	result = "undefined"
	defer func() {
		if problem := recover(); problem != nil {
			result = fmt.Sprintf("eval_builtin_error: json.patch: panic: %v", problem)
		}
	}()
	err := f(topdown.BuiltinContext{Cancel: cancel}, operands, func(term *ast.Term) error {
		result = term.String()
		return nil
	})
	if err != nil {
		return err.Error()
	}
	return result
}

// same compares a replaced function with OPA's.
func same(t *testing.T, name string, operands ...*ast.Term) {
	t.Helper()
	got := answer(topdown.GetBuiltin(name), &Meter{}, operands...)
	want := answer(originals[name], topdown.NewCancel(), operands...)
	if strings.Contains(got, "panic") && strings.Contains(want, "panic") {
		return // of OPA's function
	}
	if got != want {
		t.Errorf("%s(%v) is %s, OPA says %s", name, operands, got, want)
	}
}

func term(format string, arguments ...any) *ast.Term {
	return ast.MustParseTerm(fmt.Sprintf(format, arguments...))
}

func randomGraph(random *rand.Rand) (graph, start *ast.Term) {
	n := 1 + random.IntN(6)
	object := ast.NewObject()
	for v := range n {
		if random.IntN(5) == 0 {
			continue
		}
		var edges []*ast.Term
		for w := range n + 1 {
			if random.IntN(3) == 0 {
				edges = append(edges, ast.IntNumberTerm(w))
			}
		}
		list := ast.ArrayTerm(edges...)
		switch random.IntN(6) {
		case 0:
			list = ast.SetTerm(edges...)
		case 1:
			list = ast.NullTerm()
		}
		object.Insert(ast.IntNumberTerm(v), list)
	}
	roots := []*ast.Term{ast.IntNumberTerm(random.IntN(n)), ast.IntNumberTerm(random.IntN(n + 1))}
	if random.IntN(2) == 0 {
		return ast.NewTerm(object), ast.SetTerm(roots...)
	}
	return ast.NewTerm(object), ast.ArrayTerm(roots...)
}

func TestGraphsAnswerAsOPA(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		graph, start := randomGraph(random)
		same(t, "graph.reachable", graph, start)
		same(t, "graph.reachable_paths", graph, start)
	}
	same(t, "graph.reachable", term("[]"), term("[]"))
	same(t, "graph.reachable_paths", term("{}"), term(`"x"`))
}

func TestPatchesAnswerAsOPA(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	paths := []string{"/a", "/a/b", "/a/b/0", "/c", "/c/-", "/c/1", "/d", "", "/a/b/-", "/x/y"}
	pick := func() string { return paths[random.IntN(len(paths))] }
	for range 3000 {
		document := term(`{"a": {"b": [1, 2, {"k": "v"}]}, "c": [1, {2, 3}], "d": null}`)
		var operations []string
		for range 1 + random.IntN(30) {
			switch random.IntN(5) {
			case 0:
				operations = append(operations, fmt.Sprintf(`{"op": "add", "path": %q, "value": {"n": %d}}`, pick(), random.IntN(9)))
			case 1:
				operations = append(operations, fmt.Sprintf(`{"op": "remove", "path": %q}`, pick()))
			case 2:
				operations = append(operations, fmt.Sprintf(`{"op": "move", "from": %q, "path": %q}`, pick(), pick()))
			default:
				operations = append(operations, fmt.Sprintf(`{"op": "copy", "from": %q, "path": %q}`, pick(), pick()))
			}
		}
		same(t, "json.patch", document, term("[%s]", strings.Join(operations, ",")))
	}
	// More copies than the short way allows.
	many := slices.Repeat([]string{`{"op": "copy", "from": "/d", "path": "/e"}`}, 25)
	same(t, "json.patch", term(`{"d": [1]}`), term("[%s]", strings.Join(many, ",")))
	same(t, "json.patch", term(`{"d": [1]}`), term(`{"op"}`))
}

func TestIndexOfNAnswersAsOPA(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		letters := []string{"a", "b", "é"}[:2+random.IntN(2)]
		word := func(n int) string {
			var text strings.Builder
			for range n {
				text.WriteString(letters[random.IntN(len(letters))])
			}
			return text.String()
		}
		base, search := word(random.IntN(60)), word(1+random.IntN(3))
		found, err := places(topdown.BuiltinContext{}, []rune(base), []rune(search))
		if err != nil {
			t.Fatal(err)
		}
		want := answer(originals["indexof_n"], nil, ast.StringTerm(base), ast.StringTerm(search))
		if got := ast.ArrayTerm(found...).String(); got != want {
			t.Errorf("%q in %q: %s, OPA says %s", search, base, got, want)
		}
	}
	long := ast.StringTerm(strings.Repeat("a", 1<<20))
	if got := answer(topdown.GetBuiltin("indexof_n"), &Meter{}, long, ast.StringTerm(strings.Repeat("a", 1<<19)+"b")); got != "[]" {
		t.Errorf("a megabyte: %s", got)
	}
}

// TestWithinTheirBoundsFunctionsAnswerAsOPA calls every guarded function with operands of all types.
func TestWithinTheirBoundsFunctionsAnswerAsOPA(t *testing.T) {
	operands := []*ast.Term{
		term(`"a.b.a"`), term(`"a"`), term(`""`), term(`"%%d %%5s %%v"`), term(`"(a)"`), term(`"$1$1"`), term("3"), term("-2"), term("0"),
		term("2.5"), term("1e3"), term("null"), term(`["a", "b"]`), term("[1, 2, [3]]"), term(`{"a": "x", "b": "é"}`), term(`{"a", "b"}`),
		term("[1700000000000000000, \"UTC\"]"), term(`"10.0.0.0/28"`), term(`"10KiB"`), term(`{"indent": "  ", "pretty": true}`), term("true"),
	}
	for name := range originals {
		arity := ast.BuiltinMap[name].Decl.Arity()
		switch name {
		case "graph.reachable", "graph.reachable_paths", "rand.intn", "internal.print":
			continue
		}
		for i := range operands {
			for j := range operands {
				for k := range operands {
					if arity < 3 && k > 0 || arity < 2 && j > 0 {
						break
					}
					all := []*ast.Term{operands[i], operands[j], operands[k], operands[k]}
					same(t, name, all[:arity]...)
				}
			}
		}
	}
}

func TestBounds(t *testing.T) {
	text := ast.StringTerm(strings.Repeat("a", 1<<20))
	for name, operands := range map[string][]*ast.Term{
		"bits.lsh":          {term("1"), term("10000000000")},
		"numbers.range":     {term("1"), term("100000000")},
		"regex.replace":     {text, term(`"a"`), text},
		"replace":           {text, term(`"a"`), text},
		"strings.replace_n": {ast.ObjectTerm([2]*ast.Term{term(`"a"`), text}), text},
		"concat":            {text, ast.ArrayTerm(slices.Repeat([]*ast.Term{text}, 100)...)},
		"sprintf":           {ast.StringTerm(strings.Repeat("%[1]1000000d", 1000)), term("[1]")},
		"net.cidr_expand":   {term(`"::/0"`)},
		"units.parse":       {ast.StringTerm(strings.Repeat("9", 2*digitsMax))},
		"trim":              {text, text},
	} {
		err := topdown.GetBuiltin(name)(topdown.BuiltinContext{Cancel: &Meter{}}, operands, func(*ast.Term) error { return nil })
		var halt topdown.Halt
		if !errors.As(err, &halt) || !IsLimit(halt.Err) {
			t.Errorf("%s: %v, want a bound that halts the evaluation", name, err)
		}
	}
}

func TestOneEvaluationsTextsAreCounted(t *testing.T) {
	text := ast.StringTerm(strings.Repeat("a", 1<<20))
	list := ast.ArrayTerm(slices.Repeat([]*ast.Term{text}, 32)...)
	meter := &Meter{}
	call := func() error {
		return topdown.GetBuiltin("concat")(topdown.BuiltinContext{Cancel: meter}, []*ast.Term{term(`""`), list}, func(*ast.Term) error { return nil })
	}
	calls := 0
	for ; calls < 100; calls++ {
		if err := call(); err != nil {
			break
		}
	}
	if calls != evaluationMax>>25 {
		t.Errorf("%d texts of 32 MiB were made, want %d", calls, evaluationMax>>25)
	}
	meter = &Meter{}
	meter.Cancel()
	if err := call(); !topdown.IsCancel(err) {
		t.Errorf("a cancelled evaluation: %v", err)
	}
}

func TestCancelEndsReplacedFunctions(t *testing.T) {
	object := ast.NewObject()
	var all []*ast.Term
	for v := range 80 {
		all = append(all, ast.IntNumberTerm(v))
	}
	for _, v := range all {
		object.Insert(v, ast.ArrayTerm(all...))
	}
	meter := &Meter{}
	meter.Cancel()
	operations := ast.ArrayTerm(slices.Repeat([]*ast.Term{term(`{"op": "copy", "from": "", "path": "/a"}`)}, 200)...)
	for name, operands := range map[string][]*ast.Term{
		"graph.reachable":       {ast.NewTerm(object), ast.ArrayTerm(all[0])},
		"graph.reachable_paths": {ast.NewTerm(object), ast.ArrayTerm(all[0])},
		"json.patch":            {term(`{"a": 1}`), operations},
	} {
		err := topdown.GetBuiltin(name)(topdown.BuiltinContext{Cancel: meter}, operands, func(*ast.Term) error { return nil })
		if !topdown.IsCancel(err) {
			t.Errorf("%s: %v, want a cancel", name, err)
		}
	}
}
