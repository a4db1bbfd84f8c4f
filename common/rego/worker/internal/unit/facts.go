// Package unit finds out which modules a path below data can reach, and compiles those alone.
//
// One compile of everything does not scale with the number of modules. A unit is the closure of the
// packages that a path touches under "a reference of theirs touches", so compiling it alone gives the
// acceptance and the answers that one compile of everything gives. Over-approximation costs time
// only: a unit may hold more packages than it needs, never fewer.
package unit

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Facts is what must be known of one module to find its unit without parsing it again. It depends on
// the module's text and Rego version alone and can be kept as JSON by content hash.
type Facts struct {
	// Package has the segments below data.
	Package []string `json:"package"`
	// Refs are paths below data, each the constant prefix of a reference with imports resolved; sorted
	// and distinct. An empty path reaches everything.
	Refs [][]string `json:"refs,omitempty"`
	// Locals are absolute paths that calls and `with` name without an import: functions of the
	// module's own package if that has them.
	Locals [][]string `json:"locals,omitempty"`
	// Heads are the rules, without duplicates.
	Heads []Head `json:"heads,omitempty"`
	// Builtins are the names of built-in functions that the module may use; sorted.
	Builtins []string `json:"builtins,omitempty"`
	// Features are what the module's language needs of an engine, with OPA's names; keywords that
	// had to be imported stand as "future.keywords.NAME"; sorted.
	Features []string `json:"features,omitempty"`
	// Subpackages says that annotations of this module are in force in packages below.
	Subpackages bool `json:"subpackages,omitempty"`
	// RegoV0 says that the module was parsed as Rego v0.
	RegoV0 bool `json:"rego_v0,omitempty"`
}

// Kinds of a rule.
const (
	Complete = "complete" // one value at a constant place
	Object   = "object"   // one value at each of several places
	Set      = "set"      // several values ("contains")
	Function = "function"
)

// Head describes the rules of one name in a module.
type Head struct {
	// Path is the constant prefix of the rule's reference, below the package.
	Path []string `json:"path"`
	// Dynamic says that the reference goes on with a part that is not a constant string.
	Dynamic bool `json:"dynamic,omitempty"`
	// Keyed says that this part is a constant: base data at Path can stand beside the rule.
	Keyed bool   `json:"keyed,omitempty"`
	Kind  string `json:"kind"`
	Arity int    `json:"arity,omitempty"`
	// Row is the first such rule's line, from 1.
	Row int `json:"row"`
}

// Parse parses a module as OPA's runtime does: annotations are processed. `key` names the file in
// locations; version is 0 or 1.
func Parse(key, text string, version int) (module *ast.Module, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			location := ast.NewLocation(nil, key, 1, 1)
			module, err = nil, ast.Errors{ast.NewError(ast.ParseErr, location, "the parser panicked: %v", problem)}
		}
	}()
	options := ast.ParserOptions{ProcessAnnotation: true, RegoVersion: ast.RegoV1}
	if version == 0 {
		options.RegoVersion = ast.RegoV0
	}
	return ast.ParseModuleWithOpts(key, text, options)
}

// FactsOf collects the facts of a parsed module that was not compiled.
func FactsOf(module *ast.Module) *Facts {
	c := collector{
		facts:    &Facts{Package: constants(module.Package.Path[1:]), RegoV0: isV0(module)},
		imports:  map[ast.Var][]string{},
		refs:     map[string][]string{},
		locals:   map[string][]string{},
		builtins: map[string]bool{},
		features: map[string]bool{},
	}
	for _, each := range module.Imports {
		c.addImport(each)
	}
	for _, rule := range module.Rules {
		c.addRule(rule)
	}
	for _, note := range module.Annotations {
		c.facts.Subpackages = c.facts.Subpackages || note.Scope == "subpackages"
	}
	if !c.facts.RegoV0 {
		c.features[ast.FeatureRegoV1] = true
	}
	c.facts.Refs, c.facts.Locals = sortedPaths(c.refs), sortedPaths(c.locals)
	c.facts.Builtins, c.facts.Features = sortedKeys(c.builtins), sortedKeys(c.features)
	return c.facts
}

type collector struct {
	facts    *Facts
	imports  map[ast.Var][]string // paths below data, by the name they have here
	refs     map[string][]string
	locals   map[string][]string
	builtins map[string]bool
	features map[string]bool
}

func (c *collector) addImport(each *ast.Import) {
	path, ok := each.Path.Value.(ast.Ref)
	if !ok {
		return
	}
	switch {
	case path.HasPrefix(ast.DefaultRootRef):
		c.imports[each.Name()] = constants(path[1:])
	case ast.FutureRootDocument.Equal(path[0]):
		c.addFutureImport(path)
	case path.Equal(ast.RegoV1CompatibleRef) && c.facts.RegoV0:
		c.features[ast.FeatureRegoV1Import] = true
	case path.Equal(ast.RegoV2CompatibleRef):
		c.features[ast.FeatureRegoV2Import] = true
	}
}

// addFutureImport notes keywords that the module's own Rego version does not have.
func (c *collector) addFutureImport(path ast.Ref) {
	names := []string{"and", "not", "or"}
	if c.facts.RegoV0 {
		names = append(names, "contains", "every", "if", "in")
	}
	if len(path) > 2 {
		name, _ := path[2].Value.(ast.String)
		if !slices.Contains(names, string(name)) {
			return
		}
		names = []string{string(name)}
	}
	for _, name := range names {
		c.features["future.keywords."+name] = true
	}
}

func (c *collector) addRule(rule *ast.Rule) {
	c.addHead(rule)
	for each := rule; each != nil; each = each.Else {
		c.walkHead(each.Head)
		c.walk(each.Body)
	}
}

func (c *collector) addHead(rule *ast.Rule) {
	ref := rule.Head.Ref()
	path := []string{headName(ref[0])}
	path = append(path, constants(ref[1:])...)
	head := Head{Path: path, Dynamic: len(path) < len(ref), Kind: Complete}
	head.Keyed = head.Dynamic && constant(ref[len(path)])
	if rule.Location != nil {
		head.Row = rule.Location.Row
	}
	switch {
	case len(rule.Head.Args) > 0:
		head.Kind, head.Arity = Function, len(rule.Head.Args)
	case rule.Head.RuleKind() == ast.MultiValue:
		head.Kind = Set
	case !ref.IsGround():
		head.Kind = Object
	}
	for i := range c.facts.Heads {
		seen := &c.facts.Heads[i]
		if slices.Equal(seen.Path, head.Path) && seen.Dynamic == head.Dynamic && seen.Keyed == head.Keyed && seen.Kind == head.Kind &&
			seen.Arity == head.Arity {
			return
		}
	}
	c.facts.Heads = append(c.facts.Heads, head)
	if c.facts.RegoV0 && len(ref) >= 3 {
		if head.Dynamic {
			c.features[ast.FeatureRefHeads] = true
		} else {
			c.features[ast.FeatureRefHeadStringPrefixes] = true
		}
	}
}

// walkHead visits the parts of a head that can hold references. OPA's visitors leave out those in the
// brackets of the head's own reference.
func (c *collector) walkHead(head *ast.Head) {
	for _, term := range head.Reference[min(1, len(head.Reference)):] {
		c.walk(term)
	}
	c.walk(head.Args)
	if head.Key != nil {
		c.walk(head.Key)
	}
	if head.Value != nil {
		c.walk(head.Value)
	}
}

func (c *collector) walk(node any) {
	var visitor *ast.GenericVisitor
	visitor = ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Expr:
			if x.IsCall() {
				c.addFunction(x.Operator())
			}
		case ast.Call:
			if ref, ok := x[0].Value.(ast.Ref); ok {
				c.addFunction(ref)
			}
		case *ast.With:
			c.addFunctionTerm(x.Target)
			c.addFunctionTerm(x.Value)
		case *ast.TemplateString:
			c.features[ast.FeatureTemplateStrings] = true
		case ast.Var:
			c.addRef(ast.Ref{ast.NewTerm(x)})
		case ast.Ref:
			c.addRef(x)
			for _, term := range x[1:] {
				visitor.Walk(term)
			}
			if _, isVar := x[0].Value.(ast.Var); !isVar {
				visitor.Walk(x[0])
			}
			return true
		}
		return false
	})
	visitor.Walk(node)
}

// addRef notes what a reference can reach below data. Shadowing is not looked at: a local variable
// with the name of an import makes the unit larger, not wrong.
func (c *collector) addRef(ref ast.Ref) {
	name, ok := ref[0].Value.(ast.Var)
	if !ok {
		return
	}
	if base, ok := c.imports[name]; ok {
		add(c.refs, join(base, constants(ref[1:])))
	}
	if name.Equal(ast.DefaultRootDocument.Value) {
		add(c.refs, constants(ref[1:]))
	}
}

func (c *collector) addFunctionTerm(term *ast.Term) {
	switch value := term.Value.(type) {
	case ast.Ref:
		c.addFunction(value)
	case ast.Var:
		c.addFunction(ast.Ref{term})
	}
}

func (c *collector) addFunction(ref ast.Ref) {
	name, ok := ref[0].Value.(ast.Var)
	if !ok {
		return
	}
	if text := ref.String(); known()[text] {
		c.builtins[text] = true
	}
	if _, imported := c.imports[name]; imported || ast.RootDocumentNames.Contains(ref[0]) {
		return
	}
	path := append([]string{string(name)}, constants(ref[1:])...)
	if len(path) == len(ref) && !known()[strings.Join(path, ".")] {
		add(c.locals, join(c.facts.Package, path))
	}
}

// constants returns the leading constant strings.
func constants(terms []*ast.Term) []string {
	path := make([]string, 0, len(terms))
	for _, term := range terms {
		text, ok := term.Value.(ast.String)
		if !ok {
			break
		}
		path = append(path, string(text))
	}
	return path
}

func constant(term *ast.Term) bool {
	switch term.Value.(type) {
	case ast.Ref, ast.Var, ast.Call:
		return false
	}
	return term.Value.IsGround()
}

func headName(term *ast.Term) string {
	switch name := term.Value.(type) {
	case ast.Var:
		return string(name)
	case ast.String:
		return string(name)
	}
	return ""
}

// isV0 says how the module was parsed; an import of rego.v1 does not change that.
func isV0(module *ast.Module) bool { return module.RegoVersionSpan().Min() == ast.RegoV0 }

func join(a, b []string) []string { return append(slices.Clip(slices.Clone(a)), b...) }

func add(set map[string][]string, path []string) { set[pathKey(path)] = path }

func sortedPaths(set map[string][]string) [][]string {
	paths := make([][]string, 0, len(set))
	for _, path := range set {
		paths = append(paths, path)
	}
	slices.SortFunc(paths, slices.Compare)
	return paths
}

func sortedKeys(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
