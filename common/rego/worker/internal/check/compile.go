package check

import (
	"context"

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
	for i := range results {
		for _, each := range results[i].findings {
			c.found.add(each)
		}
		for _, number := range batches[i].units {
			c.noteCompiled(&c.units[number], &results[i])
		}
	}
	return nil
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
	plain := map[Finding]bool{}
	if compiler = unit.Compile(modules, options); compiler.Failed() {
		result.failed = true
		for _, each := range findingsOf(compiler.Errors) {
			plain[each] = true
		}
	}
	for i := range result.findings {
		each := &result.findings[i]
		if plain[*each] {
			delete(plain, *each)
			continue
		}
		each.Warning = true
		result.warned[each.Path] = true
	}
	for each := range plain {
		result.findings = append(result.findings, each)
	}
	return result
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
