package unit

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Restricted are the built-in functions that do not exist for a module unless its ledger allows them:
// they reach out of the process, or only the agent's own module calls them.
var Restricted = slices.Concat([]string{"http.send", "net.lookup_ip_addr", "opa.runtime"}, Internal)

// Internal are those that the packages system.notp.tokens and system.notp.txn call for everybody: no OPA has them.
var Internal = []string{
	"notp.tokens.lane", "notp.tokens.lookup", "notp.tokens.revoked",
	"notp.txn.keep", "notp.txn.plain", "notp.txn.presented", "notp.txn.recall",
}

// known has the names of all built-in functions of this OPA.
var known = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{}
	for _, builtin := range ast.CapabilitiesForThisVersion().Builtins {
		names[builtin.Name] = true
	}
	return names
})

var (
	capabilitiesMutex sync.Mutex
	capabilitiesCache = map[string]*ast.Capabilities{}
)

// Capabilities returns what this OPA can do, without the restricted built-ins that `allow` does not
// have. The result is shared: do not change it. Thread-safe.
func Capabilities(allow []string) *ast.Capabilities {
	key := strings.Join(allow, ",")
	capabilitiesMutex.Lock()
	defer capabilitiesMutex.Unlock()
	if found, ok := capabilitiesCache[key]; ok {
		return found
	}
	all := ast.CapabilitiesForThisVersion()
	all.Builtins = slices.DeleteFunc(slices.Clone(all.Builtins), func(b *ast.Builtin) bool {
		return slices.Contains(Restricted, b.Name) && !slices.Contains(allow, b.Name)
	})
	if !slices.Contains(allow, "http.send") && !slices.Contains(allow, "net.lookup_ip_addr") {
		all.AllowNet = []string{} // a schema that names another one is no way around it; nil would allow all
	}
	capabilitiesCache[key] = all
	return all
}

// Hint says of an error what OPA does not know, why a built-in of it is not there, as a further line.
func Hint(err *ast.Error) string {
	name, ok := strings.CutPrefix(err.Message, "undefined function ")
	if !ok || !slices.Contains(Restricted, name) {
		return ""
	}
	if slices.Contains(Internal, name) {
		return "\npolicies call " + Public(name) + ", which every engine has"
	}
	return "\na ledger has it only where registry and nodes allow it"
}

// Public returns the function that policies call in the place of an internal one.
func Public(internal string) string {
	switch internal {
	case "notp.txn.keep", "notp.txn.plain", "notp.txn.recall":
		return "data.system.notp.txn.verify"
	}
	return "data.system." + internal
}

// Options of a compile. The zero value compiles as an OPA that decides does, with restricted
// built-ins off.
type Options struct {
	Allow           []string // restricted built-ins that exist
	Strict          bool     // what strict mode refuses is an error
	TypeAnnotations bool     // schemas of annotations take part in type checks, as in `opa check` and `opa test`
	Print           bool     // print() stays; otherwise it is erased
	RewriteTests    bool     // as `opa test` needs it
	KeepModules     bool
	ErrorsMax       int                          // 0: OPA's own limit; negative: none
	Builtins        map[string]*ast.Builtin      // custom ones
	PathExists      func([]string) (bool, error) // whether base data is at a path; nil: not checked
}

// Compile compiles modules, by the key that names their file, apart from all others. The modules are
// not changed. Errors are the compiler's Errors.
func Compile(modules map[string]*ast.Module, options Options) *ast.Compiler {
	compiler := ast.NewCompiler().
		WithCapabilities(Capabilities(options.Allow)).
		WithStrict(options.Strict).
		WithUseTypeCheckAnnotations(options.TypeAnnotations).
		WithEnablePrintStatements(options.Print).
		WithRewriteTestRules(options.RewriteTests).
		WithKeepModules(options.KeepModules)
	if len(options.Builtins) > 0 {
		compiler = compiler.WithBuiltins(options.Builtins)
	}
	if options.ErrorsMax != 0 {
		compiler = compiler.SetErrorLimit(max(options.ErrorsMax, 0))
	}
	if options.PathExists != nil {
		compiler = compiler.WithPathConflictsCheck(options.PathExists)
	}
	compiler.Compile(modules)
	return compiler
}

// Stubs returns a module text for each package of `missing` that has functions which `callers` name,
// each undefined for every argument; sorted by package. What calls nothing needs no stub: a rule that
// is not there is undefined anyway.
func Stubs(callers, missing []*Facts) []string {
	named := map[string]bool{}
	for _, caller := range callers {
		for _, paths := range [][][]string{caller.Refs, caller.Locals} {
			for _, path := range paths {
				named[pathKey(path)] = true
			}
		}
	}
	packages := map[string][]string{}
	for _, facts := range missing {
		for _, head := range facts.Heads {
			if head.Kind == Function && named[pathKey(join(facts.Package, head.Path))] {
				name := packageText(facts.Package)
				packages[name] = append(packages[name], stub(head))
			}
		}
	}
	var texts []string
	for name, rules := range packages {
		slices.Sort(rules)
		texts = append(texts, "package "+name+"\n\n"+strings.Join(slices.Compact(rules), "\n"))
	}
	slices.Sort(texts)
	return texts
}

// stub returns a rule of any type that is never defined. `input` has any type, so that no use of the
// result fails a type check.
func stub(head Head) string {
	name := referenceText(head.Path)
	return fmt.Sprintf("%s(%s) := input if false\n", name, strings.TrimSuffix(strings.Repeat("_, ", head.Arity), ", "))
}

func packageText(path []string) string { return referenceText(path) }

func referenceText(path []string) string {
	terms := make(ast.Ref, 0, len(path))
	for i, segment := range path {
		if i == 0 {
			terms = append(terms, ast.VarTerm(segment))
		} else {
			terms = append(terms, ast.StringTerm(segment))
		}
	}
	return terms.String()
}
