package unit

import (
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

func TestCallsOfTheLaneAreDirectUnlessReplaced(t *testing.T) {
	ast.RegisterBuiltin(&ast.Builtin{Name: "notp.tokens.lookup", Decl: ast.IsNumber.Decl})
	const helper = "package system.notp.tokens\n\nlookup(x) := notp.tokens.lookup(x)\n"
	for name, each := range map[string]struct {
		policy string
		direct bool
	}{
		"a rule":          {"package a\n\nimport data.system.notp.tokens\n\nr := tokens.lookup(input.x)\n", true},
		"a comprehension": {"package a\n\nr := {y |\n\ty := data.system.notp.tokens.lookup(input.x)\n}\n", true},
		"an argument":     {"package a\n\nr := is_boolean(data.system.notp.tokens.lookup(input.x))\n", true},
		"replaced":        {"package a\n\nf(_) := 1\n\nr if data.system.notp.tokens.lookup(1) with data.system.notp.tokens.lookup as f\n", false},
		"with an input":   {"package a\n\nr if data.system.notp.tokens.lookup(1) with input as 2\n", true},
	} {
		compiler := Compile(map[string]*ast.Module{
			"helper": ast.MustParseModule(helper), "a": ast.MustParseModule(each.policy),
		}, Options{Allow: Internal})
		if compiler.Failed() {
			t.Fatal(compiler.Errors)
		}
		CallDirectly(compiler)
		text := compiler.Modules["a"].String()
		if strings.Contains(strings.ReplaceAll(text, "data.system.notp.tokens", ""), "notp.tokens.lookup(") != each.direct {
			t.Errorf("%s: %s", name, text)
		}
	}
}
