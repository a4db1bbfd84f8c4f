package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

const (
	inputsOfProgram = 10
	rulesOfModule   = 5
	attemptsAtRule  = 8
)

func sortTexts(all []string) { slices.Sort(all) }

// draft is a module in the making.
type draft struct {
	key     string
	pkg     []string
	imports []string
	rules   []string
	aliases map[string]string
	names   int
}

func (d *draft) text() string {
	ref := ast.Ref{ast.VarTerm(d.pkg[0])}
	for _, segment := range d.pkg[1:] {
		ref = append(ref, ast.StringTerm(segment))
	}
	text := "package " + ref.String() + "\n\n"
	for _, each := range d.imports {
		text += "import " + each + "\n"
	}
	return text + "\n" + strings.Join(d.rules, "\n\n") + "\n"
}

// firstRow is where the first rule begins.
func (d *draft) firstRow() int { return 4 + len(d.imports) }

func (d *draft) module() Module { return Module{Key: d.key, Text: d.text(), RegoVersion: 1} }

// Options of programs.
type Options struct {
	Damaged int  // broken texts of modules
	Clock   bool // rules may read it
}

type generator struct {
	*random
	Options
	drafts  []*draft
	symbols []symbol
	paths   [][]string
	fresh   int
}

// packages in an order in which a later one may use an earlier one.
var packages = [][]string{
	{"org", "lib"}, {"org", "lib", "texts"}, {"base", "rules"}, {"org", "shop"}, {"org", "shop", "rules"}, {"app", "a-b"},
	{"app"}, {"app", "deep", "x"},
}

// Generate makes the program of a seed.
func Generate(seed int64, options Options) (*Program, error) {
	g := &generator{random: newRandom(seed), Options: options}
	p := &Program{Seed: seed, TimeNs: 1_700_000_000_000_000_000 + int64(g.IntN(1_000_000_000))*1_000_000}
	p.Documents = g.documents()
	for i, pkg := range packages {
		if i > 1 && g.chance(30) {
			continue
		}
		g.addPackage(pkg, p)
	}
	g.addWhole(p)
	g.addTests(p)
	for _, d := range g.drafts {
		p.Modules = append(p.Modules, d.module())
	}
	for range inputsOfProgram {
		p.Inputs = append(p.Inputs, g.input())
	}
	p.Paths = g.paths
	g.addPatch(p)
	g.addChange(p)
	g.addBroken(p)
	return p, answer(p)
}

func (g *generator) documents() []Document {
	grants := "{"
	for i, role := range roles {
		if i > 0 {
			grants += ","
		}
		grants += quoted(role) + ":" + g.list(3, func() string { return quoted(g.pick(keys...)) })
	}
	grants += "}"
	base := fmt.Sprintf(`{"limits":{"a":%s,"b":%s},"grants":%s,"words":%s,"tree":%s,"if":{"in":%s}}`, g.number(), g.number(),
		grants, g.list(4, g.text), g.any(4), g.number())
	return []Document{
		{Key: "base/data.json", Mount: []string{"base"}, Value: json.RawMessage(base)},
		// Base data beside rules, and below the name of a package.
		{Key: "org/shop/conf/data.json", Mount: []string{"org", "shop", "conf"},
			Value: json.RawMessage(fmt.Sprintf(`{"limit":%s,"names":%s}`, g.number(), g.list(3, g.text)))},
		{Key: "org/extra/data.json", Mount: []string{"org", "extra"}, Value: json.RawMessage(g.object(3, g.number))},
	}
}

// addPackage adds one or two files of one package, with imports under aliases that may be the same in
// both files and mean another package.
func (g *generator) addPackage(pkg []string, p *Program) {
	reachable := slices.Clone(g.symbols)
	for file := range 1 + g.IntN(2) {
		d := &draft{key: strings.Join(pkg, "/") + fmt.Sprintf("/f%d.rego", file), pkg: pkg, aliases: map[string]string{}}
		g.addImports(d)
		g.drafts = append(g.drafts, d)
		g.addRules(d, reachable, p)
		if len(d.rules) == 0 { // none, if this one does not fit either
			g.compiling(d, []candidate{{text: fmt.Sprintf("only%d := %d", file, g.IntN(10))}}, p)
		}
	}
}

func (g *generator) addImports(d *draft) {
	earlier := map[string]bool{}
	for _, each := range g.symbols {
		earlier[strings.Join(each.path[:len(each.path)-1], "/")] = true
	}
	for _, pkg := range packages {
		path := strings.Join(pkg, "/")
		if !earlier[path] || !g.chance(60) {
			continue
		}
		alias := g.pick("other", "lib", "x", pkg[len(pkg)-1])
		if !plain(alias) || slices.ContainsFunc(d.imports, func(text string) bool { return strings.HasSuffix(text, " "+alias) }) {
			continue
		}
		d.imports = append(d.imports, "data"+reference(pkg)+" as "+alias)
		d.aliases[path] = alias
	}
	if g.chance(20) { // a package that imports itself
		d.imports = append(d.imports, "data"+reference(d.pkg)+" as self")
	}
	for _, keyword := range []string{"and", "or", "not"} {
		if g.chance(25) {
			d.imports = append(d.imports, "future.keywords."+keyword)
		}
	}
	if g.chance(15) {
		d.imports = append(d.imports, g.pick("future.keywords.in", "future.keywords.if", "rego.v1", "future.keywords.every"))
	}
	if g.chance(15) {
		d.imports = append(d.imports, "input.user as person")
	}
}

// candidate is a rule that is not yet known to compile.
type candidate struct {
	text, kind string
	path       []string
}

// addRules makes rules until OPA takes as many as a module has. A compile takes much longer than making
// a rule: all are tried at once, and those in which OPA finds something are made anew.
func (g *generator) addRules(d *draft, reachable []symbol, p *Program) {
	var taken []candidate
	for range attemptsAtRule {
		for len(taken) < rulesOfModule {
			d.names++
			name := fmt.Sprintf("r%d_%d", d.names, len(g.paths))
			s := &scope{random: g.random, symbols: reachable, aliases: d.aliases, vars: map[string]string{}, fresh: &g.fresh, clock: g.Clock}
			text, kind, path := g.rule(s, d, name)
			taken = append(taken, candidate{text, kind, path})
		}
		if taken = g.compiling(d, taken, p); len(taken) == rulesOfModule {
			break
		}
	}
	for _, each := range taken {
		full := append(slices.Clone(d.pkg), each.path...)
		g.symbols = append(g.symbols, symbol{path: full, kind: each.kind})
		if !strings.HasPrefix(each.kind, "f") {
			g.paths = append(g.paths, full)
		}
	}
}

// compiling gives the module those rules that compile with all that is there, and returns them.
func (g *generator) compiling(d *draft, rules []candidate, p *Program) []candidate {
	for {
		d.rules = nil
		for _, each := range rules {
			d.rules = append(d.rules, each.text)
		}
		_, err := newOracle(g.modules(), p.Documents, p.TimeNs)
		if err == nil || len(rules) == 0 {
			return rules
		}
		rows := map[int]bool{}
		for _, each := range errorsOf(err) {
			if each.Location != nil && each.Location.File == d.key {
				rows[each.Location.Row] = true
			}
		}
		row := d.firstRow()
		left := slices.DeleteFunc(slices.Clone(rules), func(each candidate) bool {
			first := row
			row += strings.Count(each.text, "\n") + 2
			for at := first; at < row; at++ {
				if rows[at] {
					return true
				}
			}
			return false
		})
		if len(left) == len(rules) { // it is said elsewhere
			left = left[:len(left)-1]
		}
		rules = left
	}
}

func errorsOf(err error) ast.Errors {
	var all ast.Errors
	var one *ast.Error
	if !errors.As(err, &all) && errors.As(err, &one) {
		all = ast.Errors{one}
	}
	return all
}

func (g *generator) modules() []Module {
	all := make([]Module, 0, len(g.drafts))
	for _, d := range g.drafts {
		all = append(all, d.module())
	}
	return all
}

// addWhole asks for whole packages, for what is above them, and for what is not there.
func (g *generator) addWhole(p *Program) {
	for _, pkg := range [][]string{{"org"}, {"org", "shop"}, {"app"}, {"base"}, {"base", "limits", "a"}, {"nowhere", "x"},
		{"org", "shop", "conf", "limit"}, {"org", "lib"}} {
		if g.chance(50) {
			g.paths = append(g.paths, pkg)
		}
	}
}

// addTests adds a file of tests, some of which fail.
func (g *generator) addTests(p *Program) {
	d := &draft{key: "tests/all_test.rego", pkg: []string{"all_test"}, aliases: map[string]string{}}
	g.drafts = append(g.drafts, d)
	var tests []candidate
	for i := range 6 {
		s := &scope{random: g.random, symbols: g.symbols, aliases: d.aliases, vars: map[string]string{}, fresh: &g.fresh, clock: g.Clock}
		var rule string
		switch g.IntN(4) {
		case 0:
			rule = fmt.Sprintf("test_%d if {\n\t%s\n}", i, s.condition(1))
		case 1:
			rule = fmt.Sprintf("test_%d if {\n\t%s with input as %s\n}", i, g.pick("true", "input.n", "not input.x"), g.input())
		case 2:
			inner := s.with("n", number)
			rule = fmt.Sprintf("test_%d[name] if {\n\tsome name, n in {\"one\": 1, \"two\": 2, \"big\": 1e21}\n\t%s\n}", i, inner.condition(1))
		default:
			rule = fmt.Sprintf("todo_test_%d if false\n\ntest_same if %d == 1", i, g.IntN(2))
		}
		tests = append(tests, candidate{text: rule})
	}
	g.compiling(d, tests, p)
	if len(d.rules) == 0 {
		d.rules = append(d.rules, "test_nothing if true")
	}
}

// addPatch changes one or two members of a document.
func (g *generator) addPatch(p *Program) {
	i := g.IntN(2)
	d := p.Documents[i]
	var value map[string]json.RawMessage
	if err := json.Unmarshal(d.Value, &value); err != nil {
		panic(err)
	}
	changes := map[string]string{}
	if i == 0 {
		changes["limits"] = fmt.Sprintf(`{"a":%s,"b":%s}`, g.number(), g.number())
		if g.chance(50) {
			changes["tree"] = g.any(4)
		}
	} else {
		changes["limit"] = g.number()
	}
	p.Patch = Patch{Key: d.Key}
	for _, name := range []string{"limits", "tree", "limit"} {
		if text, ok := changes[name]; ok {
			value[name] = json.RawMessage(text)
			p.Patch.Changes = append(p.Patch.Changes, json.RawMessage(fmt.Sprintf(`[[%s],%s]`, quoted(name), text)))
		}
	}
	p.Patch.Value, _ = json.Marshal(value)
}

// addChange gives one module another rule in the place of its last one, or one more.
func (g *generator) addChange(p *Program) {
	for range 20 {
		d := g.drafts[g.IntN(len(g.drafts)-1)]
		changed := *d
		changed.rules = slices.Clone(d.rules)
		constant := fmt.Sprintf("changed%d := %d", g.IntN(100), g.IntN(100))
		if g.chance(50) {
			changed.rules[len(changed.rules)-1] = constant
		} else {
			changed.rules = append(changed.rules, constant)
		}
		modules := replaced(p.Modules, changed.module())
		if _, err := newOracle(modules, p.Documents, p.TimeNs); err == nil {
			p.Change = changed.module()
			return
		}
	}
	p.Change = p.Modules[0] // nothing changes, which is a change, too
}

func replaced(modules []Module, with Module) []Module {
	all := slices.Clone(modules)
	for i := range all {
		if all[i].Key == with.Key {
			all[i] = with
		}
	}
	return all
}

func answer(p *Program) error {
	cold, err := newOracle(p.Modules, p.Documents, p.TimeNs)
	if err != nil {
		return err
	}
	if p.Tests, err = cold.test(); err != nil {
		return err
	}
	p.Strict = findings(p.Modules, p.Documents)
	documents := slices.Clone(p.Documents)
	for i := range documents {
		if documents[i].Key == p.Patch.Key {
			documents[i].Value = p.Patch.Value
		}
	}
	patched, err := newOracle(p.Modules, documents, p.TimeNs)
	if err != nil {
		return err
	}
	changed, err := newOracle(replaced(p.Modules, p.Change), documents, p.TimeNs)
	if err != nil {
		return err
	}
	for i, state := range []*oracle{cold, patched, changed} {
		stage, err := state.ask([]string{"cold", "patched", "changed"}[i], p.Paths, p.Inputs)
		if err != nil {
			return err
		}
		p.Stages = append(p.Stages, stage)
	}
	return nil
}
