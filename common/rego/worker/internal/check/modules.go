package check

import (
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"

	"notp.core-platform.internal/notp-pdp/internal/unit"
)

// readModules finds the facts of every module: in the request, or by parsing it.
func (c *checker) readModules() {
	var unknown []*moduleState
	for i := range c.q.Modules {
		f := &c.q.Modules[i]
		state := &moduleState{file: f}
		c.modules[f.Path] = state
		if kept := c.q.Facts[factsKey(f)]; kept != nil && kept.By == by && kept.Facts != nil {
			state.facts = kept.Facts
			continue
		}
		if _, ok := c.content.Text(f.hash); ok {
			unknown = append(unknown, state)
		} else {
			c.want(&f.file)
		}
	}
	if c.wants() {
		return
	}
	problems := make([][]Finding, len(unknown))
	hints := make([]bool, len(unknown))
	parallel(len(unknown), func(i int) {
		problems[i], hints[i] = c.parse(unknown[i])
	})
	var hinted []string
	for i, state := range unknown {
		for _, each := range problems[i] {
			c.found.add(each)
		}
		if hints[i] {
			hinted = append(hinted, state.file.Path)
		}
		if state.facts != nil {
			c.report.Facts[factsKey(state.file)] = &keptFacts{By: by, Facts: state.facts}
		}
	}
	if len(hinted) > 0 {
		c.found.add(hintOfV0(hinted))
	}
	for path, state := range c.modules {
		if state.facts != nil {
			c.report.Packages[path] = state.facts.Package
		}
	}
}

func factsKey(f *moduleFile) string { return f.Hash + ":" + strconv.Itoa(f.RegoVersion) }

// parse sets the module and its facts, or returns what is wrong with it. `hint` says that it is good
// Rego v0, given as v1.
func (c *checker) parse(state *moduleState) (problems []Finding, hint bool) {
	f := state.file
	text, _ := c.content.Text(f.hash)
	module, err := unit.Parse(f.Path, text, f.RegoVersion)
	if err == nil && module == nil {
		err = ast.NewError(ast.ParseErr, ast.NewLocation(nil, f.Path, 0, 0), "empty module")
	}
	if err == nil {
		state.parsed, state.facts = module, factsOf(module, text, f.RegoVersion)
		return nil, false
	}
	if f.RegoVersion == 0 {
		return findingsOf(err), false
	}
	old, oldErr := unit.Parse(f.Path, text, 0)
	if oldErr != nil || old == nil {
		return findingsOf(err), false
	}
	// The parser ends at the first thing that it cannot read; as v0 it reads all.
	if every := ast.CheckRegoV1(old); len(every) > 0 {
		every.Sort()
		return findingsOf(every), true
	}
	return findingsOf(err), true
}

func hintOfV0(paths []string) Finding {
	named := strings.Join(paths[:min(len(paths), 3)], ", ")
	if len(paths) > 3 {
		named += fmt.Sprintf(" and %d more", len(paths)-3)
	}
	return Finding{Message: named +
		": this is Rego v0. `opa fmt --write --v0-v1` rewrites it for v1; " +
		"runtimes.<name>.language.version \"0\" in the manifest keeps it as it is"}
}

// keywordInReference finds what may be a keyword after a dot, which older engines cannot parse.
var keywordInReference = regexp.MustCompile(
	`\.(package|import|as|default|else|with|null|true|false|some|every|in|if|contains|not|and|or)\b`)

// withoutKeywordsInReferences is what this OPA can do, less one thing.
var withoutKeywordsInReferences = sync.OnceValue(func() *ast.Capabilities {
	all := ast.CapabilitiesForThisVersion()
	all.Features = slices.DeleteFunc(slices.Clone(all.Features), func(name string) bool {
		return name == ast.FeatureKeywordsInRefs
	})
	return all
})

// factsOf adds what the syntax tree does not tell any more.
func factsOf(module *ast.Module, text string, version int) *unit.Facts {
	facts := unit.FactsOf(module)
	if version == 1 && keywordInReference.MatchString(text) {
		options := ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: withoutKeywordsInReferences()}
		if _, err := ast.ParseModuleWithOpts("", text, options); err != nil {
			facts.Features = append(facts.Features, ast.FeatureKeywordsInRefs)
			slices.Sort(facts.Features)
		}
	}
	return facts
}

// module returns the syntax tree. Only for modules that parsed before.
func (c *checker) module(key string) (*ast.Module, error) {
	state := c.modules[key]
	if state.parsed != nil {
		return state.parsed, nil
	}
	text, ok := c.content.Text(state.file.hash)
	if !ok {
		return nil, failed("missing", "%s", state.file.Hash)
	}
	var err error
	state.parsed, err = unit.Parse(key, text, state.file.RegoVersion)
	return state.parsed, err
}

func inOrder(n int, f func(int)) {
	for i := range n {
		f(i)
	}
}

// parallel calls f(0) … f(n-1), as many at once as there are processors: more would take the time of a
// test away from it.
func parallel(n int, f func(int)) {
	var waiting sync.WaitGroup
	next := make(chan int)
	for range min(n, runtime.NumCPU()) {
		waiting.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	waiting.Wait()
}
