package check

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"notp.core-platform.internal/notp-pdp/internal/unit"
)

// isTest reports whether a rule with this path is a test, one to be skipped included.
func isTest(path []string) bool { return slices.ContainsFunc(path, isTestName) }

func isTestName(name string) bool {
	return strings.HasPrefix(name, tester.TestPrefix) || strings.HasPrefix(name, tester.SkipTestPrefix)
}

func hasTests(all []*unit.Facts) bool {
	return slices.ContainsFunc(all, func(facts *unit.Facts) bool {
		return slices.ContainsFunc(facts.Heads, func(head unit.Head) bool { return isTest(head.Path) })
	})
}

func (c *checker) addTested(fingerprint string) {
	count, digest, ok := strings.Cut(strings.TrimPrefix(fingerprint, goodTests), ".")
	if passed, err := strconv.Atoi(count); ok && err == nil {
		c.tested[goodTests+"."+digest] = passed
	}
}

func testedFingerprint(name string, passed int) string {
	return goodTests + strconv.Itoa(passed) + strings.TrimPrefix(name, goodTests)
}

// addSkipped reports the tests of a known package that are to be skipped: they stay to be seen.
func (c *checker) addSkipped(u *unitState) {
	for _, key := range u.keys {
		for _, head := range c.modules[key].facts.Heads {
			if i := slices.IndexFunc(head.Path, isTestName); i >= 0 &&
				strings.HasPrefix(head.Path[i], tester.SkipTestPrefix) {
				c.report.Tests = append(c.report.Tests, TestResult{Path: key, Row: head.Row,
					Package: refText(u.path), Name: localText(head.Path[:i+1]), Outcome: Skip, Trail: []string{}})
			}
		}
	}
}

func localText(path []string) string {
	ref := ast.Ref{ast.VarTerm(path[0])}
	for _, segment := range path[1:] {
		ref = append(ref, ast.StringTerm(segment))
	}
	return ref.String()
}

// stageDocumentsFor asks for the documents that the tests can read.
func (c *checker) stageDocumentsFor(numbers []int) {
	c.staged(c.documentsOf(c.index.Reaching(c.pathsOf(numbers))))
}

// documentsOf returns the documents that modules refer to, sorted by path.
func (c *checker) documentsOf(keys []string) []*documentFile {
	found := newMounts(c.q.Documents).touched(c.factsOf(keys))
	var all []*documentFile
	for _, d := range found {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b *documentFile) int { return cmp.Compare(a.Path, b.Path) })
	return all
}

// testRun is the tests of some units under way.
type testRun struct {
	c     *checker
	store storage.Store
	clock *clock
	cover *cover.Cover // nil: no coverage

	traced atomic.Int32 // tests that were run again to see where they fail
}

// test runs the tests of the units.
func (c *checker) test(ctx context.Context, numbers []int) error {
	if len(numbers) == 0 {
		c.sortTests()
		return nil
	}
	batches := c.batches(numbers, c.q.Tests.Coverage)
	if err := c.parseFor(batches); err != nil {
		return err
	}
	data, problem := c.merge(c.documentsOf(c.index.Reaching(c.pathsOf(numbers))))
	if problem != nil {
		c.found.add(*problem)
		return nil
	}
	if c.wants() {
		return nil
	}
	run := &testRun{c: c, store: inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false)),
		clock: newClock(milliseconds(c.q.Tests.AllMs))}
	if c.q.Tests.Coverage {
		run.cover = cover.New()
	}
	clockCtx, stopClock := context.WithCancel(ctx)
	defer stopClock()
	go run.clock.run(clockCtx)
	outcomes := make([]batchOutcome, len(batches))
	at := parallel
	if c.q.Tests.OneByOne {
		at = inOrder
	}
	at(len(batches), func(i int) { outcomes[i] = run.batch(ctx, &batches[i]) })
	if err := cancelled(ctx); err != nil {
		return err
	}
	passed := true
	for i := range outcomes {
		for _, each := range findingsOf(outcomes[i].problem) {
			c.found.add(each)
		}
		for _, u := range outcomes[i].units {
			c.report.Tests = append(c.report.Tests, u.results...)
			passed = passed && u.passed
			if u.passed && !u.chance {
				c.good(testedFingerprint(c.units[u.number].tests, u.count))
			}
		}
	}
	c.sortTests()
	if run.cover != nil && passed && !c.found.errors {
		return c.addCoverage(run.cover)
	}
	return nil
}

func (c *checker) sortTests() {
	slices.SortStableFunc(c.report.Tests, func(a, b TestResult) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Row, b.Row), cmp.Compare(a.Name, b.Name),
			slices.Compare(a.Trail, b.Trail))
	})
}

func (c *checker) addCoverage(covered *cover.Cover) error {
	modules := make(map[string]*ast.Module, len(c.modules))
	for path, state := range c.modules {
		modules[path] = state.parsed
	}
	var err error
	c.report.Coverage, err = json.Marshal(covered.Report(modules))
	return err
}

type batchOutcome struct {
	units   []unitOutcome
	problem error // of the compile
}

type unitOutcome struct {
	number  int
	results []TestResult
	count   int  // of those that passed
	passed  bool // all that were not skipped
	chance  bool // one depended on chance
}

// batch compiles as `opa test` does and runs the tests one after the other, so that each has its own
// time and it is known which one runs.
func (r *testRun) batch(ctx context.Context, b *batch) batchOutcome {
	compiler := ast.NewCompiler().
		SetErrorLimit(0).
		WithCapabilities(unit.Capabilities(r.c.q.Capabilities.Allow)).
		WithEnablePrintStatements(true).
		WithUseTypeCheckAnnotations(true)
	runner := tester.NewRunner().SetCompiler(compiler).SetStore(r.store).CapturePrintOutput(true).
		SetRuntime(ast.ObjectTerm()).SetParallel(1).SetModules(r.c.parsed(b.keys))
	if r.cover != nil {
		runner.SetCoverageQueryTracer(r.cover)
	}
	txn, err := r.store.NewTransaction(ctx)
	if err != nil {
		return batchOutcome{problem: err}
	}
	defer r.store.Abort(ctx, txn)
	// The runner compiles where it runs: the first run has no test.
	r.clock.work(func() { _, err = collect(ctx, runner.Filter("^$"), txn) })
	if err != nil {
		return batchOutcome{problem: err}
	}
	runner.Filter("").SetModules(nil)
	outcome := batchOutcome{}
	for _, number := range b.units {
		if ctx.Err() != nil {
			break
		}
		outcome.units = append(outcome.units, r.unit(ctx, runner, compiler, txn, number))
	}
	return outcome
}

func collect(ctx context.Context, runner *tester.Runner, txn storage.Transaction) ([]*tester.Result, error) {
	results, err := runner.RunTests(ctx, txn)
	if err != nil {
		return nil, err
	}
	var all []*tester.Result
	for each := range results {
		all = append(all, each)
	}
	return all, nil
}

// unit runs the tests of a package's own files.
func (r *testRun) unit(ctx context.Context, runner *tester.Runner, compiler *ast.Compiler, txn storage.Transaction,
	number int) unitOutcome {
	outcome := unitOutcome{number: number, passed: true}
	for _, test := range testsIn(compiler, r.c.units[number].keys) {
		testCtx, chance := withChance(ctx)
		for _, each := range r.one(testCtx, runner, txn, &test) {
			outcome.results = append(outcome.results, each)
			switch each.Outcome {
			case Pass:
				outcome.count++
			case Fail, Broken:
				outcome.passed = false
			}
		}
		outcome.chance = outcome.chance || chance.Load()
	}
	return outcome
}

// testRule is a rule that is a test, by the name that the runner gave it.
type testRule struct {
	ref  ast.Ref // with the package
	rule *ast.Rule
	name ast.Ref
}

// testsIn returns the tests of modules in the order of their files.
func testsIn(compiler *ast.Compiler, keys []string) []testRule {
	var all []testRule
	seen := map[string]bool{}
	for _, key := range keys {
		module := compiler.Modules[key]
		for _, rule := range module.Rules {
			name := testName(rule.Head.Ref().GroundPrefix())
			if name == nil {
				continue
			}
			ref := module.Package.Path.Extend(name)
			if text := ref.String(); !seen[text] {
				seen[text] = true
				all = append(all, testRule{ref: ref, rule: rule, name: name})
			}
		}
	}
	return all
}

// testName cuts a rule's reference behind the name that makes it a test; nil if it is none.
func testName(ref ast.Ref) ast.Ref {
	for i, term := range ref {
		var name string
		switch value := term.Value.(type) {
		case ast.Var:
			name = string(value)
		case ast.String:
			name = string(value)
		}
		if isTestName(name) {
			return ref[:i+1]
		}
	}
	return nil
}

// wallTime is no limit of a test, which is one of processor time; the supervisor has one for everything.
const wallTime = 24 * time.Hour

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// one runs one test.
func (r *testRun) one(ctx context.Context, runner *tester.Runner, txn storage.Transaction, test *testRule) []TestResult {
	location := test.rule.Loc()
	blank := TestResult{Path: location.File, Row: location.Row, Package: test.rule.Module.Package.Path.String(),
		Name: test.name.String(), Outcome: Broken, Trail: []string{}}
	step := Step{Path: blank.Path, Row: blank.Row, Name: blank.Package + "." + blank.Name}
	var results []*tester.Result
	var err error
	runner.SetPrefixMatchers(test.ref).SetTimeout(wallTime)
	taken, ran := r.clock.test(ctx, milliseconds(r.c.q.Tests.OneMs), func(ctx context.Context) {
		r.running(step, func() { results, err = collect(ctx, runner, txn) })
	})
	if !ran {
		blank.Message = fmt.Sprintf("not run: all tests together took more than %d ms of processor time", r.c.q.Tests.AllMs)
		return []TestResult{blank}
	}
	if err != nil {
		blank.Message = err.Error()
		return []TestResult{blank}
	}
	var all []TestResult
	for _, each := range results {
		one := blank
		one.Path, one.Row, one.Name = each.Location.File, each.Location.Row, each.Name
		one.DurationNs, one.Output = each.Duration.Nanoseconds(), string(each.Output)
		if each.Error != nil && (taken.over || taken.ended) {
			one.Message = fmt.Sprintf("it took more than %d ms of processor time", r.c.q.Tests.OneMs)
			if !taken.over {
				one.Message = fmt.Sprintf("stopped: all tests together took more than %d ms of processor time", r.c.q.Tests.AllMs)
			}
			all = append(all, one)
			continue
		}
		all = append(all, resultsOf(each, one)...)
	}
	if hasFailed(all) && taken.spent < tracedTimeMax {
		r.explain(ctx, runner, txn, test, step, all)
	}
	return all
}

// running says which test runs.
func (r *testRun) running(step Step, do func()) {
	step.Begins = true
	r.c.step(step)
	do()
	step.Begins = false
	r.c.step(step)
}

// resultsOf turns a result into one for each case, or into one.
func resultsOf(each *tester.Result, one TestResult) []TestResult {
	switch {
	case each.Error != nil:
		one.Message = each.Error.Error()
		return []TestResult{one}
	case each.Skip:
		one.Outcome = Skip
		return []TestResult{one}
	}
	var cases []TestResult
	casesFailed := false
	for trail, sub := range each.SubResults.Iter {
		if len(sub.SubResults) > 0 {
			continue
		}
		result := one
		result.Trail, result.Outcome = slices.Clone(trail), outcomeOf(sub.Fail)
		casesFailed = casesFailed || sub.Fail
		if len(cases) > 0 { // what the rule took and printed is its, not each case's
			result.Output, result.DurationNs = "", 0
		}
		cases = append(cases, result)
	}
	if len(cases) == 0 || each.Fail && !casesFailed {
		one.Outcome = outcomeOf(each.Fail)
		return []TestResult{one}
	}
	return cases
}

func outcomeOf(failed bool) string {
	if failed {
		return Fail
	}
	return Pass
}
