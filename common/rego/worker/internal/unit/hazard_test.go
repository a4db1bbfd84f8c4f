package unit

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

// hazards are models in which one package depends on another in a way that is easily overlooked. The
// texts are of a.rego, b.rego and so on; a text that begins with "#v0" is Rego v0.
var hazards = map[string][]string{
	"rule in the place of a package": {"package a\n\nb := 1\n", "package a.b\n\nc := 2\n"},
	"rule below a package's rule":    {"package a\n\nb.c := 1\n", "package a.b\n\nc := 2\n\nd := c\n"},
	"partial rule around a package":  {"package a\n\nb[x] := 1 if some x in [\"p\", \"q\"]\n", "package a.b\n\nc := 2\n\nall := data.a.b\n"},
	"kinds of two packages":          {"package a\n\nb.c contains 1\n", "package a.b\n\nc := 2\n"},
	"function within a rule":         {"package a\n\nb[x] := x if some x in [1]\n", "package a.b\n\nf(x) := x\n"},
	"default of another package":     {"package a\n\nb.c := 1\n", "package a.b\n\ndefault c := 3\n"},
	"arity over packages":            {"package a\n\nb.f(x) := x\n", "package a.b\n\nf(x, y) := x + y\n", "package c\n\nz := data.a.b.f(1)\n"},
	"name that is a package below":   {"package a\n\nx := b.c\n\nb.d := 1\n", "package a.b\n\nc := 2\n"},
	"dynamic reference":              {"package a\n\nx := {k: v | some k; v := data.b[k].y}\n", "package b.p\n\ny := 1\n", "package b.q\n\ny := data.c.z\n", "package c\n\nz := 7\n"},
	"all of data":                    {"package a\n\nn := count([1 | walk(data.b)])\n", "package b.c\n\ny := 1\n"},
	"import of data":                 {"package a\n\nimport data as d\n\nx := d.b.y\n", "package b\n\ny := 5\n"},
	"import of a rule":               {"package a\n\nimport data.b.y as z\n\nx := z\n\nw := z.k\n", "package b\n\ny := {\"k\": 5}\n"},
	"import in brackets":             {"package a\n\nimport data.b\n\nx := {\"v\": 1}[b.k]\n", "package b\n\nk := \"v\"\n"},
	"head of a rule":                 {"package a\n\nimport data.b\n\nr[b.k] := 1\n\np.q[data.b.k] := 2\n\nf(x) := b.k\n\nu := f(1)\n", "package b\n\nk := \"v\"\n"},
	"else branch":                    {"package a\n\nx := 1 if false\n\nelse := data.b.k\n", "package b\n\nk := 9\n"},
	"target of with":                 {"package a\n\nx := y if y := data.b.k with data.c.v as 3\n", "package b\n\nk := data.c.v + 1\n", "package c\n\nv := 0\n"},
	"part of a rule with with":       {"package a\n\nx := y if y := data.b.k with data.c.v.w as 3\n", "package b\n\nk := data.c.v\n", "package c\n\nv := {\"w\": 0}\n"},
	"function with with":             {"package a\n\nx := y if y := data.b.k with data.c.f as data.d.g\n", "package b\n\nk := data.c.f(1)\n", "package c\n\nf(v) := v\n", "package d\n\ng(v) := v + 10\n"},
	"built-in with with":             {"package a\n\nx := y if y := data.b.k with count as data.d.g\n", "package b\n\nk := count([1])\n", "package d\n\ng(v) := 10\n"},
	"built-in by import with with":   {"package a\n\nimport data.d.g\n\nx := y if y := data.b.k with count as g\n", "package b\n\nk := count([1])\n", "package d\n\ng(v) := 10\n"},
	"wrong arity with with":          {"package a\n\nx := y if y := data.b.k with count as data.d.g\n", "package b\n\nk := count([1])\n", "package d\n\ng(v, w) := 10\n"},
	"recursion":                      {"package a\n\nx := data.b.y\n", "package b\n\ny := data.c.z\n", "package c\n\nz := data.a.x\n"},
	"recursion by prefix":            {"package a.b\n\nx := count(data.a)\n", "package a.c\n\ny := 1\n"},
	"recursion by a dynamic part":    {"package a\n\nx := [v | v := data.b[_].y]\n", "package b.c\n\ny := data.a.x\n"},
	"types":                          {"package a\n\nx if data.b.k == \"text\"\n\ny if startswith(data.b.k, \"t\")\n", "package b\n\nk := 1\n"},
	"function that is not there":     {"package a\n\nx := data.b.f(1)\n", "package b\n\ng(v) := v\n"},
	"rule called as a function":      {"package a\n\nx := data.b.f(1)\n", "package b\n\nf := 1\n"},
	"metadata from above":            {"# METADATA\n# scope: subpackages\n# title: above\npackage a\n\nz := 1\n", "package a.b\n\nx := [c.annotations.title | some c in rego.metadata.chain()]\n"},
	"two files of a package":         {"package a\n\nimport data.b.x\n\ny := x\n", "package a\n\nx := 2\n\nz := x\n", "package b\n\nx := 1\n"},
	"name from the other file":       {"package a\n\ny := b.c\n", "package a\n\nb := {\"c\": 3}\n"},
	"empty package":                  {"package a\n\nx := data.b\n", "package b\n"},
	"system is hidden":               {"package a\n\nx := {k | data[k]; k != \"a\"}\n", "package system.s\n\ny := 1\n", "package b\n\ny := 1\n"},
	"every and comprehensions":       {"package a\n\nx if every v in data.b.s { v in data.c.s }\n\ny := {v: w | some v in data.b.s; w := [u | some u in data.c.s]}\n", "package b\n\ns := [1]\n", "package c\n\ns := [1, 2]\n"},
	"template strings":               {"package a\n\nx := $\"<{data.b.s}>\"\n", "package b\n\ns := 1\n"},
	"v0 beside v1":                   {"#v0\npackage a\n\nimport data.b\n\nx { b.y }\n\ns[v] { v := b.z[_] }\n", "package b\n\ny if true\n\nz := [1, 2]\n"},
	"v0 shadows an import":           {"#v0\npackage a\n\nimport data.b\n\nx = c { b := 1; c := b }\n\ny { b.y }\n", "package b\n\ny := true\n"},
	"conflict of values":             {"package a\n\nb.c := 1\n", "package a.b\n\nc := 2\n\nc := 1\n", "package d\n\nx := data.a.b.c\n"},
	"deep prefix":                    {"package a.b.c.d\n\nx := 1\n", "package a\n\ny := data.a.b\n", "package z\n\nw := data.a.b.c.d.x.none\n"},
	"reference to a number":          {"package a\n\nx := data.b.l[0]\n\ny := data.b.l[1].k\n", "package b.l.m\n\nz := 1\n", "package b\n\nother := 2\n"},
}

func hazardModules(t *testing.T, texts []string) map[string]*ast.Module {
	modules := map[string]*ast.Module{}
	for i, text := range texts {
		version := 1
		if strings.HasPrefix(text, "#v0") {
			version = 0
		}
		key := string(rune('a'+i)) + ".rego"
		module, err := Parse(key, text, version)
		if err != nil {
			t.Fatal(err)
		}
		modules[key] = module
	}
	return modules
}

func TestHazardsBetweenPackages(t *testing.T) {
	accepted, refused := 0, 0
	for name, texts := range hazards {
		modules := hazardModules(t, texts)
		if whole, apart := accepts(modules), acceptsApart(modules); whole != apart {
			t.Errorf("%s: one compile accepts: %v, its units: %v", name, whole, apart)
			continue
		} else if !whole {
			refused++
			continue
		}
		accepted++
		index := NewIndex(factsOfAll(modules))
		whole := Compile(modules, Options{})
		for _, path := range pathsOf(index) {
			part := Compile(pick(modules, index.OfPath(path)), Options{})
			all, apart := valueAt(whole, path), valueAt(part, path)
			if all != apart {
				t.Errorf("%s: data.%s is %s, alone %s", name, strings.Join(path, "."), all, apart)
			}
		}
	}
	if accepted < 20 || refused < 8 {
		t.Errorf("%d models accepted, %d refused: the hazards are not what they should be", accepted, refused)
	}
}

// pathsOf returns all packages, what is above them, and their rules.
func pathsOf(index *Index) [][]string {
	paths := [][]string{nil}
	for _, path := range index.Packages() {
		for i := range path {
			paths = append(paths, path[:i+1])
		}
		for _, key := range index.Keys(path) {
			for _, head := range index.Facts(key).Heads {
				paths = append(paths, join(path, head.Path), join(path, append(slices.Clone(head.Path), "k")))
			}
		}
	}
	return paths
}

func valueAt(compiler *ast.Compiler, path []string) string {
	ref := ast.Ref{ast.DefaultRootDocument}
	for _, segment := range path {
		ref = append(ref, ast.StringTerm(segment))
	}
	query := ast.NewBody(ast.NewExpr(ast.NewTerm(ref)))
	set, err := rego.New(rego.ParsedQuery(query), rego.Compiler(compiler)).Eval(context.Background())
	if err != nil {
		return err.Error()
	}
	if len(set) == 0 {
		return "undefined"
	}
	text, err := json.Marshal(set[0].Expressions[0].Value)
	return fmt.Sprint(string(text), err)
}

func TestUnitsHoldNoMoreThanTheyNeed(t *testing.T) {
	modules := hazardModules(t, []string{
		"package authz\n\nallow if data.authz.team.x.allow\n",
		"package authz.team.x\n\nimport data.lib\n\nallow if lib.ok\n",
		"package authz.team.y\n\nimport data.lib\n\nallow if lib.ok\n",
		"package lib\n\nok if input.ok\n",
		"package other\n\nlib := 1\n\nx := lib\n",
	})
	index := NewIndex(factsOfAll(modules))
	for path, want := range map[string]string{
		"authz.team.x":       "b.rego d.rego",
		"authz.team.y":       "c.rego d.rego",
		"authz":              "a.rego b.rego c.rego d.rego",
		"authz.allow":        "a.rego b.rego d.rego",
		"authz.team.y.allow": "c.rego d.rego",
		"other":              "e.rego",
		"nothing":            "",
	} {
		if got := strings.Join(index.OfPath(strings.Split(path, ".")), " "); got != want {
			t.Errorf("the unit of data.%s is %q, want %q", path, got, want)
		}
	}
	before := index
	changed := factsOfAll(modules)
	changed["e.rego"] = FactsOf(hazardModules(t, []string{"package other\n\nx := data.authz.team.x.allow\n"})["a.rego"])
	after := NewIndex(changed)
	if got := fmt.Sprint(after.Affected(before, []string{"e.rego"}).Paths()); got != "[[other]]" {
		t.Errorf("a change of other affects %s", got)
	}
	if got := fmt.Sprint(after.Affected(before, []string{"d.rego"}).Paths()); got != "[[authz] [authz team x] [authz team y] [lib] [other]]" {
		t.Errorf("a change of lib affects %s", got)
	}
	delete(changed, "c.rego")
	if got := fmt.Sprint(NewIndex(changed).Affected(after, []string{"c.rego"}).Paths()); got != "[]" {
		t.Errorf("a package that nothing reaches has gone, and affects %s", got)
	}
}

// TestAnIndexThatIsDerivedIsTheSame changes modules one by one and compares with an index from nothing.
func TestAnIndexThatIsDerivedIsTheSame(t *testing.T) {
	var texts []string
	for _, model := range hazards {
		for _, text := range model {
			if !strings.HasPrefix(text, "#v0") {
				texts = append(texts, text)
			}
		}
	}
	slices.Sort(texts)
	modules := map[string]*Facts{}
	index := NewIndex(map[string]*Facts{})
	for step := range 400 {
		key := fmt.Sprintf("m%d", step*7%23)
		before := index
		if step%11 == 10 {
			delete(modules, key)
			index = index.With(map[string]*Facts{key: nil})
		} else {
			text := texts[step*31%len(texts)]
			if step%3 == 0 && modules[key] != nil { // the same rules with other references
				facts := *modules[key]
				facts.Refs = [][]string{{"a"}, {"b", "c"}, {"c"}}[step%4%3:][:1]
				modules[key] = &facts
			} else {
				modules[key] = FactsOf(hazardModules(t, []string{text})["a.rego"])
			}
			index = index.With(map[string]*Facts{key: modules[key]})
		}
		fresh := NewIndex(maps.Clone(modules))
		affected := index.Affected(before, []string{key})
		for _, path := range pathsOf(fresh) {
			got, want := index.OfPath(path), fresh.OfPath(path)
			if !slices.Equal(got, want) {
				t.Fatalf("step %d: the unit of data.%s is %v, want %v", step, strings.Join(path, "."), got, want)
			}
			if old := before.OfPath(path); (!slices.Equal(old, want) || slices.Contains(want, key)) && !affected.Touches(path) {
				t.Fatalf("step %d: the unit of data.%s went from %v to %v unnoticed", step, strings.Join(path, "."), old, want)
			}
		}
	}
}

func TestFactsAreTheSameAfterJSON(t *testing.T) {
	for name, texts := range hazards {
		for key, facts := range factsOfAll(hazardModules(t, texts)) {
			text, err := json.Marshal(facts)
			if err != nil {
				t.Fatal(err)
			}
			var back Facts
			if err := json.Unmarshal(text, &back); err != nil {
				t.Fatal(err)
			}
			again, _ := json.Marshal(&back)
			if string(again) != string(text) {
				t.Errorf("%s, %s: %s became %s", name, key, text, again)
			}
		}
	}
}

func TestFeaturesAreThoseOfTheCompiler(t *testing.T) {
	for _, version := range []int{0, 1} {
		for _, each := range opaCases(t, version) {
			modules := parseAll(each.Modules, version)
			if modules == nil {
				continue
			}
			compiler := Compile(modules, Options{Allow: Restricted})
			if compiler.Failed() {
				continue
			}
			features, builtins := map[string]bool{}, map[string]bool{}
			for _, facts := range factsOfAll(modules) {
				for _, feature := range facts.Features {
					features[feature] = true
				}
				for _, name := range facts.Builtins {
					builtins[name] = true
				}
			}
			want := map[string]bool{}
			for _, feature := range compiler.Required.Features {
				want[feature] = true
			}
			for _, keyword := range compiler.Required.FutureKeywords {
				want["future.keywords."+keyword] = true
			}
			if got, want := sortedKeys(features), sortedKeys(want); !slices.Equal(got, want) {
				t.Errorf("%s (v%d): features %v, the compiler says %v", each.Note, version, got, want)
			}
			for _, builtin := range compiler.Required.Builtins {
				if !builtins[builtin.Name] && !strings.HasPrefix(builtin.Name, "internal.") && builtin.Name != "eq" {
					t.Errorf("%s (v%d): %s is missing in %v", each.Note, version, builtin.Name, sortedKeys(builtins))
				}
			}
		}
	}
}

func TestStubs(t *testing.T) {
	missing := FactsOf(hazardModules(t, []string{"package lib[\"x-y\"]\n\nf(a, b) := a + b\n\ng(a) := a\n\nk.h(a) := 1\n\nv := 1\n\nf(a, b) := a if a > b\n"})["a.rego"])
	caller := FactsOf(hazardModules(t, []string{"package c\n\nimport data.lib[\"x-y\"] as l\n\nx := l.f(1, 2)\n\ny := l.k.h(1)\n\nz := l.v\n"})["a.rego"])
	same := FactsOf(hazardModules(t, []string{"package lib[\"x-y\"]\n\nw := g(1)\n"})["a.rego"])
	want := "package lib[\"x-y\"]\n\nf(_, _) := input if false\n\nk.h(_) := input if false\n"
	if got := Stubs([]*Facts{caller}, []*Facts{missing}); len(got) != 1 || got[0] != want {
		t.Errorf("stubs %q, want %q", got, want)
	}
	if got := Stubs([]*Facts{same}, []*Facts{missing}); len(got) != 1 || !strings.Contains(got[0], "g(_)") || strings.Contains(got[0], "f(_") {
		t.Errorf("stubs for the same package %q", got)
	}
	if got := Stubs(nil, []*Facts{missing}); got != nil {
		t.Errorf("stubs that nothing calls %q", got)
	}
	if _, err := Parse("stub.rego", want, 1); err != nil {
		t.Error(err)
	}
}
