package check

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/version"

	"notp.core-platform.internal/notp-pdp/internal/unit"
)

// revision is part of every fingerprint and of kept facts: raise it when a check finds more than it did,
// or when facts hold more.
const revision = "4"

// by names who found something out.
var by = revision + "," + version.Version

// Kinds of what can be known to be good. A fingerprint is its kind and a digest; that of tests says
// how many passed.
const (
	goodStrict   = "s" // a unit, in strict mode, as far as its package's own files go
	goodUnit     = "u" // a unit
	goodTests    = "t" // the tests of a package
	goodDocument = "d" // a document can be read
	goodOverlap  = "o" // documents at or below one place fit together
	goodHeads    = "h" // no rule lies over a document
	goodNode     = "n" // the unit of a package without test code, as nodes compile it
	goodKeys     = "k" // the engine reads every key of a set
)

// Step is a test that begins or ends.
type Step struct {
	Begins bool
	Path   string
	Row    int
	Name   string // with the package: "data.a.b.test_x"
}

// Check answers a request. `report` is called before and after every test, by several goroutines: a
// test that takes all memory leaves no time to ask what it was. Errors are *Failed: "request",
// "cancelled". Safe for concurrent use.
func Check(ctx context.Context, content Content, raw []byte, report func(Step)) ([]byte, error) {
	q, err := decodeRequest(raw)
	if err != nil {
		return nil, err
	}
	c := newChecker(content, q)
	c.step = report
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	return c.encode()
}

// checker is one check under way.
type checker struct {
	content Content
	step    func(Step)
	q       *request
	report  Report
	found   findings

	known   map[string]bool // fingerprints that the request has
	tested  map[string]int  // how many tests passed, by the fingerprint without the number
	wanted  map[string]bool
	modules map[string]*moduleState // by path
	index   *unit.Index
	units   []unitState // in the order of the index's packages
	salt    string
}

type moduleState struct {
	file   *moduleFile
	facts  *unit.Facts
	parsed *ast.Module // nil until it is needed
}

// unitState is one package with what it reaches.
type unitState struct {
	path   []string
	keys   []string // of its own modules
	strict string   // fingerprints
	plain  string
	tests  string // empty: it has none
}

func newChecker(content Content, q *request) *checker {
	c := &checker{
		content: content, q: q,
		found:   findings{max: q.FindingsMax, seen: map[Finding]bool{}},
		known:   make(map[string]bool, len(q.Good)),
		tested:  map[string]int{},
		wanted:  map[string]bool{},
		modules: make(map[string]*moduleState, len(q.Modules)),
		salt:    strings.Join(append([]string{by}, q.Capabilities.Allow...), ","),
	}
	for _, each := range q.Good {
		if strings.HasPrefix(each, goodTests) {
			c.addTested(each)
		} else {
			c.known[each] = true
		}
	}
	c.report = Report{
		Findings: []Finding{}, Tests: []TestResult{}, Packages: make(map[string][]string, len(q.Modules)),
		Facts: map[string]*keptFacts{}, Good: make([]string, 0, len(q.Good)),
		Needs: Needs{Builtins: []string{}, Features: []string{}},
	}
	return c
}

// run judges in the order in which one thing makes the next one possible: files are read, then
// compiled, then tested.
func (c *checker) run(ctx context.Context) error {
	c.readModules()
	if c.q.NeedsOnly {
		c.addNeeds()
		return nil
	}
	c.readDocuments()
	c.checkKeySets()
	c.checkTokens()
	if c.wants() {
		return nil
	}
	if !c.found.errors {
		c.lookAtUnits()
		c.checkOverlaps()
		c.checkHeads()
		dirty, untested := c.dirty()
		c.stageFor(dirty, untested)
		if c.wants() {
			return nil
		}
		if err := c.compile(ctx, dirty); err != nil || c.wants() {
			return err
		}
		if !c.found.errors {
			c.checkTestOnly()
			if c.wants() {
				return nil
			}
		}
		if c.q.Tests.Run && !c.found.errors {
			if err := c.test(ctx, untested); err != nil {
				return err
			}
		}
	}
	c.addNeeds()
	return nil
}

func (c *checker) encode() ([]byte, error) {
	if c.wants() {
		want := make([]string, 0, len(c.wanted))
		for hash := range c.wanted {
			want = append(want, hash)
		}
		slices.Sort(want)
		return json.Marshal(map[string][]string{"want": want})
	}
	c.report.Findings = c.found.sorted()
	slices.Sort(c.report.Good)
	return json.Marshal(&c.report)
}

func (c *checker) wants() bool { return len(c.wanted) > 0 }

func (c *checker) want(f *file) { c.wanted[f.Hash] = true }

func (c *checker) good(fingerprint string) { c.report.Good = append(c.report.Good, fingerprint) }

// lookAtUnits finds the packages, what they reach and their fingerprints.
func (c *checker) lookAtUnits() {
	all := make(map[string]*unit.Facts, len(c.modules))
	for path, state := range c.modules {
		all[path] = state.facts
	}
	c.index = unit.NewIndex(all)
	compiled := c.index.Digests(func(_, keys []string) []byte { return c.identity(nil, keys) })
	withData := compiled
	if c.q.Tests.Run && len(c.q.Documents) > 0 {
		mounts := newMounts(c.q.Documents)
		withData = c.index.Digests(func(_, keys []string) []byte {
			return mounts.identity(c.identity(nil, keys), c.factsOf(keys))
		})
	}
	packages := c.index.Packages()
	c.units = make([]unitState, len(packages))
	for i, path := range packages {
		state := unitState{path: path, keys: c.index.Keys(path)}
		digest := hex.EncodeToString(compiled[i][:fingerprintBytes])
		state.strict, state.plain = goodStrict+digest, goodUnit+digest
		if hasTests(c.factsOf(state.keys)) {
			state.tests = goodTests + "." + hex.EncodeToString(withData[i][:fingerprintBytes])
		}
		c.units[i] = state
	}
}

// fingerprintBytes makes a fingerprint short, and still too long for somebody to make two alike.
const fingerprintBytes = 20

// identity has everything of a package's own modules that a compile depends on. Paths take part,
// because findings name them.
func (c *checker) identity(to []byte, keys []string) []byte {
	to = append(to, c.salt...)
	for _, key := range keys {
		f := c.modules[key].file
		to = append(to, 0)
		to = append(to, key...)
		to = append(to, 0, byte('0'+f.RegoVersion))
		to = append(to, f.hash[:]...)
	}
	return to
}

func (c *checker) factsOf(keys []string) []*unit.Facts {
	all := make([]*unit.Facts, len(keys))
	for i, key := range keys {
		all[i] = c.modules[key].facts
	}
	return all
}

// dirty returns the numbers of units that must be compiled, and of those whose tests must be run. What
// is known to be good is noted as such again.
func (c *checker) dirty() (compile, test []int) {
	for i := range c.units {
		u := &c.units[i]
		strictKnown, plainKnown := c.known[u.strict], c.known[u.plain] || c.known[u.strict]
		if plainKnown {
			c.good(u.plain)
		}
		if strictKnown {
			c.good(u.strict)
		}
		if !plainKnown || c.q.Strict && !strictKnown {
			compile = append(compile, i)
		}
		if !c.q.Tests.Run || u.tests == "" {
			continue
		}
		passed, known := c.tested[u.tests]
		if !known || c.q.Tests.Coverage {
			test = append(test, i)
			continue
		}
		c.report.TestsKnown += passed
		c.good(testedFingerprint(u.tests, passed))
		c.addSkipped(u)
	}
	return compile, test
}

// stageFor asks for what compiling and testing these units needs.
func (c *checker) stageFor(compile, test []int) {
	seen := map[string]bool{}
	for _, number := range slices.Concat(compile, test) {
		for _, key := range c.index.OfPackage(c.units[number].path) {
			if seen[key] {
				continue
			}
			seen[key] = true
			state := c.modules[key]
			if state.parsed != nil {
				continue
			}
			if _, ok := c.content.Text(state.file.hash); !ok {
				c.want(&state.file.file)
			}
		}
	}
	if len(test) > 0 {
		c.stageDocumentsFor(test)
	}
}

func cancelled(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return failed("cancelled", "the check was cancelled")
	}
	return nil
}
