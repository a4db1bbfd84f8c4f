package check

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"notp.core-platform.internal/notp-pdp/internal/unit"
)

// laneData is the code of what concerns data.tokens: an OPA with a token lane has it, and no other
// engine does.
const laneData = "lane_data"

const (
	laneRoot    = "tokens" // below data
	laneMessage = " is what a token lane gives an OPA, and undefined in every other engine: call " +
		"data.system.notp.tokens.lookup(token) or .revoked(claims), and name own rules and data otherwise"
)

// ownPackages have the functions that look tokens up, and that verify transaction tokens. The agent adds
// them. By each, the function that tests replace most often.
var ownPackages = map[string]string{"tokens": "lookup", "txn": "verify"}

// ownPackage returns the last name of the agent's package that a package is, or is below; empty: none.
func ownPackage(path []string) string {
	if len(path) < 3 || !isBelow(path, []string{"system", "notp"}) || ownPackages[path[2]] == "" {
		return ""
	}
	return path[2]
}

// checkTokens finds what two engines would understand differently: data.tokens, and the built-in
// functions behind the package that looks tokens up, which that package alone calls. A reference
// whose first name is computed (data[x]) is not found: an OPA with a lane has one name more there.
func (c *checker) checkTokens() {
	for i := range c.q.Modules {
		f := &c.q.Modules[i]
		state := c.modules[f.Path]
		if f.IsUsed || state.facts == nil {
			continue
		}
		if own := ownPackage(state.facts.Package); f.IsTest && own != "" { // others are outside of all roots
			c.found.add(Finding{Path: f.Path, Row: 1, Col: 1, Code: laneData, Message: "package " + refText(state.facts.Package)[5:] +
				" is the agent's; tests replace its functions using `with data.system.notp." + own + "." + ownPackages[own] + " as …`"})
		}
		if !namesTokens(state.facts) || !c.stageModules([]string{f.Path}) {
			continue
		}
		finder := tokenFinder{path: f.Path, imports: map[ast.Var]bool{}, seen: map[string]bool{}}
		finder.module(state.parsed)
		for _, each := range finder.findings {
			c.found.add(each)
		}
	}
}

func isBelow(path, root []string) bool {
	return len(path) >= len(root) && slices.Equal(path[:len(root)], root)
}

// namesTokens reports whether a module has a place that is a finding.
func namesTokens(facts *unit.Facts) bool {
	isLane := func(path []string) bool { return len(path) > 0 && path[0] == laneRoot }
	return isLane(facts.Package) || slices.ContainsFunc(facts.Refs, isLane) ||
		slices.ContainsFunc(facts.Builtins, isInternal)
}

func isInternal(name string) bool { return slices.Contains(unit.Internal, name) }

type tokenFinder struct {
	path     string
	imports  map[ast.Var]bool // names of `import data`
	seen     map[string]bool
	findings []Finding
}

func (t *tokenFinder) module(module *ast.Module) {
	if isBelow(pathOf(module.Package.Path[1:]), []string{laneRoot}) {
		t.add(module.Package.Location, laneData, "data."+laneRoot+laneMessage)
	}
	for _, each := range module.Imports {
		path, ok := each.Path.Value.(ast.Ref)
		if !ok || !path[0].Equal(ast.DefaultRootDocument) {
			continue
		}
		if len(path) == 1 {
			t.imports[each.Name()] = true
		} else if isLaneName(path[1]) {
			t.add(each.Location, laneData, "data."+laneRoot+laneMessage)
		}
	}
	for _, rule := range module.Rules {
		for each := rule; each != nil; each = each.Else {
			t.rule(each)
		}
	}
	if len(t.findings) == 0 {
		t.add(nil, laneData, "data."+laneRoot+laneMessage)
	}
}

func (t *tokenFinder) rule(rule *ast.Rule) {
	visit := ast.NewGenericVisitor(func(x any) bool {
		if term, ok := x.(*ast.Term); ok {
			if ref, ok := term.Value.(ast.Ref); ok {
				t.reference(ref, term.Location)
			}
		}
		return false
	})
	for _, term := range rule.Head.Reference[min(1, len(rule.Head.Reference)):] {
		visit.Walk(term)
	}
	visit.Walk(rule)
}

func (t *tokenFinder) reference(ref ast.Ref, at *ast.Location) {
	name, ok := ref[0].Value.(ast.Var)
	if !ok {
		return
	}
	if text := ref.String(); isInternal(text) {
		t.add(at, ast.TypeErr, "undefined function "+text+"\npolicies call "+unit.Public(text)+", which every engine has")
		return
	}
	if len(ref) > 1 && isLaneName(ref[1]) && (ref[0].Equal(ast.DefaultRootDocument) || t.imports[name]) {
		t.add(at, laneData, "data."+laneRoot+laneMessage)
	}
}

// add notes a finding once for each line.
func (t *tokenFinder) add(at *ast.Location, code, message string) {
	finding := Finding{Path: t.path, Code: code, Message: message}
	if at != nil {
		finding.Row, finding.Col = at.Row, at.Col
	}
	key := code + message + string(rune(finding.Row))
	if !t.seen[key] {
		t.seen[key] = true
		t.findings = append(t.findings, finding)
	}
}

func isLaneName(term *ast.Term) bool { return term.Value.Compare(ast.String(laneRoot)) == 0 }

func pathOf(ref ast.Ref) []string {
	var path []string
	for _, term := range ref {
		if text, ok := term.Value.(ast.String); ok {
			path = append(path, string(text))
		}
	}
	return path
}
