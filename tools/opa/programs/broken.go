package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// Broken is another text of one module, and what `opa check --strict` finds then. An engine may find
// more: OPA ends at the first stage that fails.
type Broken struct {
	Key      string   `json:"key"`
	Text     string   `json:"text"`
	Findings []string `json:"findings"` // "key:row code: message" (its first line), after "ERROR " where strict mode is not the reason
}

// addBroken damages modules.
func (g *generator) addBroken(p *Program) {
	for range g.Damaged {
		m := p.Modules[g.IntN(len(p.Modules))]
		m.Text = g.damaged(m.Text)
		p.Broken = append(p.Broken, Broken{Key: m.Key, Text: m.Text, Findings: findings(replaced(p.Modules, m), p.Documents)})
	}
}

// damaged makes a change that often is a mistake.
func (g *generator) damaged(text string) string {
	lines := strings.Split(text, "\n")
	at := g.IntN(len(lines))
	switch g.IntN(8) {
	case 0:
		return strings.Join(slices.Delete(lines, at, at+1), "\n")
	case 1:
		return strings.Replace(text, g.pick("input.s", "input.n", "input", "some ", " if {"), g.pick("w", "nowhere(1)", "{", "x"), 1)
	case 2:
		return text + "\nimport data.org.lib as unused\n"
	case 3:
		return strings.Replace(text, ":=", g.pick("contains", "=", "", "if"), 1)
	case 4:
		name := "r1_0"
		if i := strings.Index(text, "\nr"); i >= 0 {
			name, _, _ = strings.Cut(text[i+1:], " ")
		}
		return text + fmt.Sprintf("\n%s contains 1\n\n%s(_, _, _) := 2\n", name, name)
	case 5:
		target := g.symbols[g.IntN(len(g.symbols))]
		return text + fmt.Sprintf("\nmore := data%s(1, 2, 3, 4)\n\nless if not data%s(w)\n", reference(target.path), reference(target.path))
	case 6: // recursion, or data and rules at one place
		return text + g.pick("\nloop := data\n", "\nloop if data.org.lib.loop\n", "\nloop if data.app.loop\n", "\nlimits := 3\n", "\nconf.limit := 3\n",
			"\nextra := 3\n", "\nshop := 3\n", "\ndeep.x := 3\n", "\nlib contains 3\n")
	default:
		return text + fmt.Sprintf("\nbad if count(%s) > \"a\"\n\nworse(a, b) := http.send({}) if input.x\n\nworst if { x := 1; y := 2 }\n", g.number())
	}
}

// findings are those of `opa check --strict` with base data.
func findings(modules []Module, documents []Document) []string {
	parsed := map[string]*ast.Module{}
	var problems ast.Errors
	for _, m := range modules {
		module, err := ast.ParseModuleWithOpts(m.Key, m.Text, ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true})
		switch failed := err.(type) {
		case nil:
			parsed[m.Key] = module
		case ast.Errors:
			problems = append(problems, failed...)
		case *ast.Error:
			problems = append(problems, failed)
		}
	}
	if len(problems) > 0 {
		return lines("ERROR ", problems)
	}
	data, err := merged(documents)
	if err != nil {
		panic(err) // it was merged before
	}
	ctx := context.Background()
	store := inmem.NewFromObject(data)
	txn := storage.NewTransactionOrDie(ctx, store)
	defer store.Abort(ctx, txn)
	compile := func(strict bool) ast.Errors {
		compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithEnablePrintStatements(true).WithUseTypeCheckAnnotations(true).
			WithStrict(strict).SetErrorLimit(0).WithPathConflictsCheck(storage.NonEmpty(ctx, store, txn))
		compiler.Compile(parsed)
		return compiler.Errors
	}
	plain := lines("", compile(false))
	all := []string{}
	for _, line := range lines("", compile(true)) {
		if slices.Contains(plain, line) {
			line = "ERROR " + line
		}
		all = append(all, line)
	}
	slices.Sort(all)
	return all
}

// withoutChance leaves out which of several cycles through a rule was found: OPA iterates over a map.
// That it goes from the rule to the rule is looked at.
func withoutChance(message string) string {
	rule, cycle, found := strings.Cut(message, " is recursive: ")
	name, isRule := strings.CutPrefix(rule, "rule ")
	if found && isRule && strings.HasPrefix(cycle, name+" -> ") && strings.HasSuffix(cycle, " -> "+name) {
		return rule + " is recursive"
	}
	return message
}

func lines(prefix string, problems ast.Errors) []string {
	all := []string{}
	for _, each := range problems {
		place := ":0"
		if each.Location != nil {
			place = fmt.Sprintf("%s:%d", each.Location.File, each.Location.Row)
		}
		message, _, _ := strings.Cut(each.Message, "\n") // what follows is detail
		all = append(all, fmt.Sprintf("%s%s %s: %s", prefix, place, each.Code, withoutChance(message)))
	}
	slices.Sort(all)
	return slices.Compact(all)
}
