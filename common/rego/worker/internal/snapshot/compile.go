package snapshot

import (
	"errors"
	"slices"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"

	"notp.core-platform.internal/notp-pdp/internal/unit"
)

// trees keeps syntax trees while units are compiled, each until the last unit that needs it is done, so
// that a module that all use is parsed once. Thread-safe.
type trees struct {
	mutex sync.Mutex
	uses  map[string]int
	trees map[string]*ast.Module
	early int // bytes of texts that were parsed before it was known what is compiled
}

// earlyMax bounds that: a tree takes some thirty times the memory of its text.
const earlyMax = 4 << 20

func newTrees() *trees { return &trees{uses: map[string]int{}, trees: map[string]*ast.Module{}} }

// expect announces a unit.
func (t *trees) expect(keys []string) {
	for _, key := range keys {
		t.uses[key]++
	}
}

// retain drops what no announced unit needs.
func (t *trees) retain() {
	for key := range t.trees {
		if t.uses[key] == 0 {
			delete(t.trees, key)
		}
	}
}

func (t *trees) get(key string) *ast.Module {
	if t == nil {
		return nil
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.trees[key]
}

// put keeps a tree that an announced unit needs.
func (t *trees) put(key string, tree *ast.Module) {
	if t == nil {
		return
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.uses[key] > 0 {
		t.trees[key] = tree
	}
}

// putEarly keeps a tree before units are announced.
func (t *trees) putEarly(key string, tree *ast.Module, bytes int) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.early += bytes; t.early <= earlyMax {
		t.trees[key] = tree
	}
}

// done says that a unit is compiled.
func (t *trees) done(keys []string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for _, key := range keys {
		if t.uses[key]--; t.uses[key] <= 0 {
			delete(t.trees, key)
		}
	}
}

// parse returns the syntax tree of a module or of what stands in for it; nil if nothing does.
func (m *module) parse() (*ast.Module, error) {
	if m.Withheld {
		if m.stub == "" {
			return nil, nil
		}
		return unit.Parse(m.Key, m.stub, 1)
	}
	return m.content.Parse(m.Key, m.Version)
}

func (s *snapshot) allow(m *module) []string {
	if int(m.Ledger) < len(s.ledgers) {
		return s.ledgers[m.Ledger].allow
	}
	return nil
}

// parsed returns the syntax trees of modules. `kept` may be nil.
func (s *snapshot) parsed(keys []string, kept *trees) (map[string]*ast.Module, int, error) {
	modules := make(map[string]*ast.Module, len(keys))
	bytes := 0
	for _, key := range keys {
		m := s.modules[key]
		tree := kept.get(key)
		if tree == nil {
			var err error
			if tree, err = m.parse(); err != nil {
				return nil, 0, err
			}
			kept.put(key, tree)
		}
		if tree != nil {
			modules[key] = tree
			bytes += len(m.content.Text)
		}
	}
	return modules, bytes, nil
}

// compile compiles a unit. The error is the compiler's.
func (s *snapshot) compile(keys []string, kept *trees) (unit *compiled, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = ast.Errors{ast.NewError(ast.CompileErr, nil, "the compiler panicked: %v", problem)}
		}
	}()
	return s.compileUnit(keys, kept)
}

func (s *snapshot) compileUnit(keys []string, kept *trees) (*compiled, error) {
	modules, bytes, err := s.parsed(keys, kept)
	if err != nil {
		return nil, err
	}
	compiler, err := s.compileModules(modules, unit.Options{})
	if err != nil {
		return nil, err
	}
	unit.CallDirectly(compiler)
	compiler.Graph = nil // only a compile needs it
	return &compiled{
		compiler: compiler, replaces: unit.Replaces(compiler), txn: s.txnRulesOf(modules),
		bytes: unitBytesOwn + bytes, queries: newRecent[*query](queriesMax),
	}, nil
}

// compileModules compiles modules of several ledgers. All see what any of them may call; then each one
// that calls what its own ledger does not allow is compiled with that ledger's terms, for OPA's error.
func (s *snapshot) compileModules(modules map[string]*ast.Module, options unit.Options) (*ast.Compiler, error) {
	var refused []string // keys
	for key := range modules {
		allow := s.allow(s.modules[key])
		for _, name := range allow {
			if !slices.Contains(options.Allow, name) {
				options.Allow = append(options.Allow, name)
			}
		}
		if s.modules[key].refused(allow) {
			refused = append(refused, key)
		}
	}
	slices.Sort(options.Allow)
	compiler := unit.Compile(modules, options)
	if compiler.Failed() {
		return nil, compiler.Errors
	}
	var found ast.Errors
	for _, key := range refused {
		strict := options
		strict.Allow = s.allow(s.modules[key])
		for _, each := range unit.Compile(modules, strict).Errors {
			if each.Location != nil && each.Location.File == key {
				found = append(found, each)
			}
		}
	}
	if len(found) > 0 {
		return nil, found
	}
	return compiler, nil
}

// refused reports whether a module names a restricted built-in that its ledger does not allow.
func (m *module) refused(allow []string) bool {
	return slices.ContainsFunc(m.facts.Builtins, func(name string) bool {
		return slices.Contains(unit.Restricted, name) && !slices.Contains(allow, name)
	})
}

// errorsOf returns the single errors of a compile or a parse.
func errorsOf(err error) ast.Errors {
	var list ast.Errors
	if errors.As(err, &list) {
		return list
	}
	var one *ast.Error
	if errors.As(err, &one) {
		return ast.Errors{one}
	}
	return nil
}
