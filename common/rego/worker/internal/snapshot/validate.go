package snapshot

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"

	"notp.core-platform.internal/notp-pdp/internal/unit"
)

func cancelledFailure() *Failure { return &Failure{"cancelled", "cancelled by the supervisor"} }

// each calls `work` for 0 … n-1 on the engine's threads, until the context ends.
func (c *change) each(ctx context.Context, n int, work func(int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(n, max(1, c.engine.options.Threads)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				work(i)
			}
		})
	}
	group.Wait()
}

// job is a unit that must be compiled.
type job struct {
	fingerprint string
	keys        []string
	keep        bool // it was asked in the base
}

// compileChanged compiles every unit that differs from those of the base: a release that cannot be
// compiled does not become active. Of one that is accepted, units are compiled when they are asked.
func (c *change) compileChanged(ctx context.Context) *Failure {
	next := c.next
	if c.base != nil {
		next.good = c.base.good
	}
	kept := c.inUse()
	var jobs []job
	found := map[string]bool{}
	for _, path := range c.affected.Paths() {
		keys := next.index.OfPackage(path)
		fingerprint := next.fingerprint(keys)
		if next.good[fingerprint] || found[fingerprint] {
			continue
		}
		found[fingerprint] = true
		jobs = append(jobs, job{fingerprint, keys, kept[fingerprint]})
		c.trees.expect(keys)
	}
	c.trees.retain()
	if c.isAccepted {
		c.noteGood(found)
		return nil
	}
	if failure := c.compileJobs(ctx, jobs); failure != nil {
		return failure
	}
	c.noteGood(found)
	c.count = len(jobs)
	return nil
}

// noteGood remembers the units that compile. Those of units that are gone are dropped now and then.
func (c *change) noteGood(found map[string]bool) {
	if len(found) == 0 {
		return
	}
	next := c.next
	good := maps.Clone(next.good)
	maps.Copy(good, found)
	if packages := next.index.Packages(); len(good) > 2*len(packages)+64 {
		present := map[string]bool{}
		for _, path := range packages {
			if fingerprint := next.fingerprint(next.index.OfPackage(path)); good[fingerprint] {
				present[fingerprint] = true
			}
		}
		good = present
	}
	next.good = good
}

func (c *change) compileJobs(ctx context.Context, jobs []job) *Failure {
	errs := make([]error, len(jobs))
	var failed atomic.Bool
	c.each(ctx, len(jobs), func(i int) {
		if failed.Load() {
			return
		}
		each := jobs[i]
		compile := func() (*compiled, error) { return c.next.compile(each.keys, c.trees) }
		if each.keep {
			_, errs[i] = c.engine.units.get(each.fingerprint, nil, compile)
		} else {
			_, errs[i] = compile()
		}
		c.trees.done(each.keys)
		if errs[i] != nil {
			failed.Store(true)
		}
	})
	if ctx.Err() != nil {
		return cancelledFailure()
	}
	if !failed.Load() {
		return nil
	}
	if findings := c.wholeFindings(); len(findings) > 0 {
		return rejected(findings)
	}
	var findings []Finding
	for _, err := range errs {
		if err != nil {
			findings = append(findings, findingsOf("", err)...)
		}
	}
	return rejected(findings)
}

// What is compiled as a whole has at most so many modules and bytes: it is done for a text.
const (
	wholeModulesMax = 4096
	wholeBytesMax   = 16 << 20
)

// wholeFindings compiles everything at once, for the errors that OPA would give. None when that is too
// much.
func (c *change) wholeFindings() []Finding {
	keys := slices.Sorted(maps.Keys(c.next.modules))
	size := 0
	for _, m := range c.next.modules {
		size += len(m.content.Text)
	}
	if len(keys) > wholeModulesMax || size > wholeBytesMax {
		return nil
	}
	modules, _, err := c.next.parsed(keys, nil)
	if err != nil {
		return findingsOf("", err)
	}
	_, err = c.next.compileModules(modules, unit.Options{ErrorsMax: findingsMax})
	if err == nil {
		return nil
	}
	return findingsOf("", err)
}

// inUse returns the fingerprints that the next snapshot has for paths that the base was asked, and
// lists those paths in the next one.
func (c *change) inUse() map[string]bool {
	fingerprints := map[string]bool{}
	if c.base == nil {
		return fingerprints
	}
	c.base.mutex.Lock()
	defer c.base.mutex.Unlock()
	for key, asked := range c.base.paths.all {
		if asked.age >= pathAgeMax {
			continue
		}
		next := &path{segments: asked.segments, fingerprint: asked.fingerprint, age: asked.age + 1}
		if c.affected.Touches(asked.segments) {
			next.fingerprint = c.next.fingerprint(c.next.index.OfPath(asked.segments))
		}
		c.next.paths.put(key, next)
		fingerprints[next.fingerprint] = true
	}
	return fingerprints
}

// warm compiles what was asked in the base and is not ready yet.
func (c *change) warm(ctx context.Context) *Failure {
	if len(c.modules) == 0 {
		return nil
	}
	var waiting []*path
	for _, asked := range c.next.paths.all {
		if len(asked.segments) > 0 && !c.engine.units.has(asked.fingerprint) {
			waiting = append(waiting, asked)
		}
	}
	c.each(ctx, len(waiting), func(i int) {
		asked := waiting[i]
		keys := c.next.index.OfPath(asked.segments)
		// What fails here fails again for the caller who asks, with its error.
		_, _ = c.engine.units.get(asked.fingerprint, ctx.Done, func() (*compiled, error) { return c.next.compile(keys, nil) })
	})
	if ctx.Err() != nil {
		return cancelledFailure()
	}
	return nil
}

// checkHeads compares rules with base data: those of modules that changed, and those of packages above
// or below a place where the data did.
func (c *change) checkHeads() *Failure {
	root := c.next.data.root
	var findings []Finding
	for _, key := range c.modules {
		if m := c.next.modules[key]; m != nil {
			findings = m.conflicts(key, root, findings)
		}
	}
	if len(c.mounts) > 0 && c.base != nil {
		for key, m := range c.next.modules {
			if _, found := slices.BinarySearch(c.modules, key); !found && c.near(m.facts.Package) {
				findings = m.conflicts(key, root, findings)
			}
		}
	}
	if len(findings) == 0 {
		return nil
	}
	slices.SortFunc(findings, func(a, b Finding) int {
		if a.Path != b.Path {
			return strings.Compare(a.Path, b.Path)
		}
		return a.Row - b.Row
	})
	return rejected(findings)
}

// near reports whether data changed above, at or below a path.
func (c *change) near(path []string) bool {
	return slices.ContainsFunc(c.mounts, func(mount []string) bool {
		common := min(len(mount), len(path))
		return slices.Equal(mount[:common], path[:common])
	})
}

// conflicts adds a finding for each rule of the module in whose place base data is.
func (m *module) conflicts(key string, root map[string]any, findings []Finding) []Finding {
	var room [16]string
	for _, head := range m.facts.Heads {
		if head.Keyed {
			continue
		}
		place := append(append(room[:0], m.facts.Package...), head.Path...)
		if occupied(root, place) {
			findings = append(findings, Finding{
				Path: key, Row: head.Row, Col: 1, Code: ast.CompileErr,
				Message: fmt.Sprintf("conflicting rule for data path %v found", strings.Join(place, "/")),
			})
		}
	}
	return findings
}
