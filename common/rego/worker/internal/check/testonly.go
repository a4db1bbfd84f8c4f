package check

import (
	"cmp"
	"slices"
	"strings"

	"notp.core-platform.internal/notp-pdp/internal/unit"
)

// testOnly is the code of what would fail at a node: nodes do not load test code.
const testOnly = "test_only"

// testCode tells what test code defines from what everything else does.
type testCode struct {
	production, tests   *unit.Index
	documents, fixtures *mounts // what nodes load, and what they do not
}

func (c *checker) testCode() *testCode {
	production, tests := map[string]*unit.Facts{}, map[string]*unit.Facts{}
	for path, state := range c.modules {
		if state.file.IsTest {
			tests[path] = state.facts
		} else {
			production[path] = state.facts
		}
	}
	var documents, fixtures []documentFile
	for _, d := range c.q.Documents {
		if d.IsTest {
			fixtures = append(fixtures, d)
		} else {
			documents = append(documents, d)
		}
	}
	if len(production) == 0 || len(tests) == 0 && len(fixtures) == 0 {
		return nil
	}
	return &testCode{production: unit.NewIndex(production), tests: unit.NewIndex(tests),
		documents: newMounts(documents), fixtures: newMounts(fixtures)}
}

// checkTestOnly finds policies that need what test code alone defines: what they refer to, and what
// they use by a bare name. All of it compiles, and passes its tests, and is undefined at a node.
func (c *checker) checkTestOnly() {
	t := c.testCode()
	if t == nil {
		return
	}
	for i := range c.q.Modules {
		f := &c.q.Modules[i]
		if f.IsTest {
			continue
		}
		facts := c.modules[f.Path].facts
		for _, paths := range [][][]string{facts.Refs, facts.Locals} {
			for _, path := range paths {
				if t.definesAlone(path) && !c.inDocuments(t.documents, path) {
					c.addTestOnly(f.Path, path)
				}
			}
		}
	}
	c.compileWithoutTests(t)
}

// definesAlone reports whether a path below data leads to test code, and to no policy. An empty path
// leads to everything; what is below data.system a node has by itself.
func (t *testCode) definesAlone(path []string) bool {
	if len(path) == 0 || path[0] == "system" || len(t.production.OfPath(path)) > 0 {
		return false
	}
	found := len(t.tests.OfPath(path)) > 0
	t.fixtures.touch(path, func(d *documentFile) { found = true })
	return found
}

// inDocuments reports whether documents that nodes load have something at a path. One that lies above
// it is looked into; when it is not here it is asked for, and the answer says nothing.
func (c *checker) inDocuments(m *mounts, path []string) bool {
	found := false
	m.touch(path, func(d *documentFile) {
		if found || len(d.Mount) >= len(path) {
			found = true
			return
		}
		value, problem, ok := c.content.Document(d.hash)
		if !ok {
			c.want(&d.file)
			found = true
			return
		}
		found = problem == nil && occupied(value, path[len(d.Mount):])
	})
	return found
}

func (c *checker) addTestOnly(module string, path []string) {
	text := refText(path)
	c.found.add(Finding{Path: module, Code: testOnly, Message: text + " is defined by test code alone (*_test.rego, files " +
		"below tests/), which nodes do not load: it is undefined there. Move what defines it out of the test code; " +
		"what another ledger defines, tests replace using `with " + text + " as …`"})
}

// compileWithoutTests compiles the policies of the packages that test code adds names to, as a node
// does. That finds what no reference shows: a rule of the own package, by its bare name.
func (c *checker) compileWithoutTests(t *testCode) {
	for _, path := range t.production.Packages() {
		added := c.addedNames(t, path)
		if len(added) == 0 {
			continue
		}
		keys := t.production.OfPackage(path)
		fingerprint := goodNode + digestOf(string(c.identity(nil, keys)))
		if c.known[fingerprint] {
			c.good(fingerprint)
			continue
		}
		if !c.stageModules(keys) {
			continue
		}
		compiler := unit.Compile(c.parsed(keys), unit.Options{Allow: c.q.Capabilities.Allow, Print: true, ErrorsMax: -1})
		if !compiler.Failed() {
			c.good(fingerprint)
			continue
		}
		for _, each := range findingsOf(compiler.Errors) {
			each.Code = testOnly
			each.Message += "\nwithout the test code (*_test.rego, files below tests/), which nodes do not load; it adds " +
				strings.Join(added, ", ") + " to " + refText(path)
			c.found.add(each)
		}
	}
}

// addedNames returns the names of rules that only test code has in a package which policies share with
// it; tests themselves, which no policy uses, do not count.
func (c *checker) addedNames(t *testCode, path []string) []string {
	own := map[string]bool{}
	for _, facts := range c.factsOf(t.production.Keys(path)) {
		for _, head := range facts.Heads {
			own[head.Path[0]] = true
		}
	}
	var names []string
	for _, facts := range c.factsOf(t.tests.Keys(path)) {
		for _, head := range facts.Heads {
			name := head.Path[0]
			if !own[name] && !strings.HasPrefix(name, "test_") && !strings.HasPrefix(name, "todo_test_") {
				names = append(names, name)
			}
		}
	}
	slices.SortFunc(names, cmp.Compare[string])
	return slices.Compact(names)
}

// stageModules parses modules, or asks for those that are not here.
func (c *checker) stageModules(keys []string) bool {
	all := true
	for _, key := range keys {
		if c.modules[key].parsed != nil {
			continue
		}
		if _, ok := c.content.Text(c.modules[key].file.hash); !ok {
			c.want(&c.modules[key].file.file)
			all = false
			continue
		}
		if _, err := c.module(key); err != nil {
			all = false
		}
	}
	return all
}
