package check

import (
	"context"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"notp.core-platform.internal/notp-pdp/internal/unit"
)

// wholeFactor decides when one compile of all is cheaper than one for each unit: units may overlap.
const wholeFactor = 6

// batch is what is compiled at one time: several units, or one.
type batch struct {
	units []int // numbers
	keys  []string
}

// batches splits units, so that not much more is compiled than there is.
func (c *checker) batches(numbers []int, together bool) []batch {
	each := make([]batch, 0, len(numbers))
	total := 0
	for _, number := range numbers {
		keys := c.index.OfPackage(c.units[number].path)
		total += len(keys)
		each = append(each, batch{units: []int{number}, keys: keys})
		if total > wholeFactor*len(c.modules) {
			together = true
		}
		if together {
			break
		}
	}
	if !together || len(numbers) == 0 {
		return each
	}
	return []batch{{units: numbers, keys: c.index.Reaching(c.pathsOf(numbers))}}
}

func (c *checker) pathsOf(numbers []int) [][]string {
	paths := make([][]string, len(numbers))
	for i, number := range numbers {
		paths[i] = c.units[number].path
	}
	return paths
}

// parse parses all modules of the batches.
func (c *checker) parseFor(batches []batch) error {
	var missing []string
	seen := map[string]bool{}
	for _, b := range batches {
		for _, key := range b.keys {
			if !seen[key] && c.modules[key].parsed == nil {
				missing = append(missing, key)
			}
			seen[key] = true
		}
	}
	problems := make([]error, len(missing))
	parallel(len(missing), func(i int) { _, problems[i] = c.module(missing[i]) })
	for _, err := range problems {
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) parsed(keys []string) map[string]*ast.Module {
	modules := make(map[string]*ast.Module, len(keys))
	for _, key := range keys {
		modules[key] = c.modules[key].parsed
	}
	return modules
}

// compile compiles the units and adds what is wrong with them.
func (c *checker) compile(ctx context.Context, numbers []int) error {
	batches := c.batches(numbers, false)
	if err := c.parseFor(batches); err != nil {
		return err
	}
	results := make([]compiled, len(batches))
	parallel(len(batches), func(i int) {
		if ctx.Err() == nil {
			results[i] = c.compileBatch(&batches[i])
		}
	})
	if err := cancelled(ctx); err != nil {
		return err
	}
	if slices.ContainsFunc(results, func(each compiled) bool { return each.failed }) {
		whole, err := c.asWhole(batches)
		if err != nil || c.wants() {
			return err
		}
		results = append(results, whole.over(results))
	}
	for i := range results {
		for _, each := range results[i].findings {
			c.found.add(each)
		}
		if i == len(batches) {
			break
		}
		for _, number := range batches[i].units {
			c.noteCompiled(&c.units[number], &results[i])
		}
	}
	return nil
}

// What is compiled as a whole for the texts of its errors has at most so many modules and bytes.
const (
	wholeModulesMax = 4096
	wholeBytesMax   = 16 << 20
)

// asWhole compiles all modules at once, as OPA does: its errors may name variables that the compiler
// made, with numbers that go through all modules. Nothing when that is too much, or is what the
// batches did.
func (c *checker) asWhole(batches []batch) (compiled, error) {
	if len(c.modules) > wholeModulesMax || len(batches) == 1 && len(batches[0].keys) == len(c.modules) {
		return compiled{}, nil
	}
	all := batch{keys: make([]string, 0, len(c.modules))}
	bytes := 0
	for key, state := range c.modules {
		all.keys = append(all.keys, key)
		text, ok := c.content.Text(state.file.hash)
		if !ok {
			c.want(&state.file.file)
		}
		bytes += len(text)
	}
	if c.wants() || bytes > wholeBytesMax {
		return compiled{}, nil
	}
	if err := c.parseFor([]batch{all}); err != nil {
		return compiled{}, err
	}
	return c.compileBatch(&all), nil
}

// over takes the place of what the results say of the same places. What else they say stays: one
// compile of everything ends at the first step that fails anywhere.
func (w compiled) over(results []compiled) compiled {
	type place struct {
		path     string
		row, col int
		code     string
		warning  bool
	}
	at := func(each Finding) place { return place{each.Path, each.Row, each.Col, each.Code, each.Warning} }
	said := map[place]bool{}
	for _, each := range w.findings {
		said[at(each)] = true
	}
	for i := range results {
		results[i].findings = slices.DeleteFunc(results[i].findings, func(each Finding) bool { return said[at(each)] })
	}
	return w
}

type compiled struct {
	findings []Finding
	failed   bool            // not only in strict mode
	warned   map[string]bool // modules with warnings
}

func (c *checker) compileBatch(b *batch) compiled {
	modules := c.parsed(b.keys)
	options := unit.Options{Allow: c.q.Capabilities.Allow, TypeAnnotations: true, Print: true, ErrorsMax: -1,
		Strict: c.q.Strict}
	result := compiled{warned: map[string]bool{}}
	compiler := unit.Compile(modules, options)
	if !compiler.Failed() {
		return result
	}
	result.findings = findingsOf(compiler.Errors)
	if !c.q.Strict {
		result.failed = true
		return result
	}
	options.Strict = false
	plain := map[Finding]Finding{}
	if compiler = unit.Compile(modules, options); compiler.Failed() {
		result.failed = true
		for _, each := range findingsOf(compiler.Errors) {
			plain[each.withoutChance()] = each
		}
	}
	for i := range result.findings {
		each := &result.findings[i]
		if _, isPlain := plain[each.withoutChance()]; isPlain {
			delete(plain, each.withoutChance())
			continue
		}
		each.Warning = true
		result.warned[each.Path] = true
	}
	for _, each := range plain {
		result.findings = append(result.findings, each)
	}
	return result
}

// withoutChance tells the same fault of two compiles: of several cycles through a rule OPA names one,
// by chance.
func (f Finding) withoutChance() Finding {
	if f.Code == ast.RecursionErr {
		f.Message = ""
	}
	return f
}

// noteCompiled says what is good now. Warnings are of the package whose file has them: they do not
// keep those that use the package from being good.
func (c *checker) noteCompiled(u *unitState, result *compiled) {
	if result.failed {
		return
	}
	if !c.known[u.plain] && !c.known[u.strict] {
		c.good(u.plain)
	}
	if !c.q.Strict {
		return
	}
	for _, key := range u.keys {
		if result.warned[key] {
			return
		}
	}
	c.good(u.strict)
}
