package unit

import (
	"maps"
	"slices"
	"sync"
)

// Index knows which packages of a set of modules reach which others. It is immutable and safe for
// concurrent use.
type Index struct {
	modules  map[string]*Facts // by key
	root     *node             // shared by indexes with the same packages and rules
	packages []*pack           // by number; sorted by path
	reverse  *reverse
}

type pack struct {
	path  []string
	keys  []string // of its modules, sorted
	edges []int    // numbers of packages that this one reaches at once, sorted
}

type node struct {
	children map[string]*node
	number   int // of the package here; -1: none
}

// reverse has, for each package, those that reach it at once. It is built when it is first needed.
type reverse struct {
	once sync.Once
	from [][]int
}

// NewIndex builds the index of modules by key. It keeps the map, which must not change any more.
func NewIndex(modules map[string]*Facts) *Index {
	x := &Index{modules: modules, root: &node{number: -1}, reverse: &reverse{}}
	for key, facts := range modules {
		at := x.root
		for _, segment := range facts.Package {
			at = at.child(segment)
		}
		if at.number < 0 {
			at.number = len(x.packages)
			x.packages = append(x.packages, &pack{path: facts.Package})
		}
		p := x.packages[at.number]
		p.keys = append(p.keys, key)
	}
	slices.SortFunc(x.packages, func(a, b *pack) int { return slices.Compare(a.path, b.path) })
	for i, p := range x.packages {
		x.find(p.path).number = i
		slices.Sort(p.keys)
	}
	for i, p := range x.packages {
		p.edges = x.edgesOf(i)
	}
	return x
}

// With returns the index of modules that differ from those of `x` by the given ones: new, changed, or
// gone where the facts are nil. It takes little time if the packages and their rules stay the same.
func (x *Index) With(changed map[string]*Facts) *Index {
	modules := maps.Clone(x.modules)
	structural := false
	for key, facts := range changed {
		old := x.modules[key]
		if facts == nil {
			delete(modules, key)
		} else {
			modules[key] = facts
		}
		structural = structural || !sameShape(old, facts)
	}
	if structural {
		return NewIndex(modules)
	}
	next := &Index{modules: modules, root: x.root, packages: slices.Clone(x.packages), reverse: x.reverse}
	for _, facts := range changed {
		if facts == nil {
			continue
		}
		number := x.find(facts.Package).number
		old := x.packages[number]
		edges := next.edgesOf(number)
		if !slices.Equal(old.edges, edges) {
			next.packages[number] = &pack{path: old.path, keys: old.keys, edges: edges}
			next.reverse = &reverse{}
		}
	}
	return next
}

// sameShape reports whether two modules are alike in what other packages' edges depend on.
func sameShape(a, b *Facts) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Subpackages == b.Subpackages && slices.Equal(a.Package, b.Package) &&
		slices.EqualFunc(a.Heads, b.Heads, func(a, b Head) bool { return slices.Equal(a.Path, b.Path) })
}

func (n *node) child(segment string) *node {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	next := n.children[segment]
	if next == nil {
		next = &node{number: -1}
		n.children[segment] = next
	}
	return next
}

// find returns the place of a path; nil if nothing is at or below it.
func (x *Index) find(path []string) *node {
	at := x.root
	for _, segment := range path {
		if at = at.children[segment]; at == nil {
			return nil
		}
	}
	return at
}

// edgesOf returns what a package reaches at once: what its references touch; what lies below one of
// its rules, because a name of the package that has a rule resolves to it, and because such pairs can
// conflict; packages above whose annotations are in force here.
func (x *Index) edgesOf(number int) []int {
	p := x.packages[number]
	found := map[int]bool{}
	for _, key := range p.keys {
		facts := x.modules[key]
		for _, ref := range facts.Refs {
			x.touch(ref, found)
		}
		for _, head := range facts.Heads {
			x.touch(join(p.path, head.Path[:1]), found)
		}
	}
	at := x.root
	for _, segment := range p.path {
		if at.number >= 0 && x.annotatesBelow(at.number) {
			found[at.number] = true
		}
		at = at.children[segment]
	}
	delete(found, number)
	return sortedNumbers(found)
}

func (x *Index) annotatesBelow(number int) bool {
	return slices.ContainsFunc(x.packages[number].keys, func(key string) bool { return x.modules[key].Subpackages })
}

// touch adds the packages at or below a path, and those above with a rule that may define it.
func (x *Index) touch(path []string, found map[int]bool) {
	at := x.root
	for depth, segment := range path {
		if at.number >= 0 && !found[at.number] && x.defines(at.number, path[depth:]) {
			found[at.number] = true
		}
		if at = at.children[segment]; at == nil {
			return
		}
	}
	below(at, found)
}

func below(at *node, found map[int]bool) {
	if at.number >= 0 {
		found[at.number] = true
	}
	for _, next := range at.children {
		below(next, found)
	}
}

// defines reports whether a rule of the package may have a value at, above or below the rest of a path.
func (x *Index) defines(number int, rest []string) bool {
	for _, key := range x.packages[number].keys {
		for _, head := range x.modules[key].Heads {
			common := min(len(head.Path), len(rest))
			if slices.Equal(head.Path[:common], rest[:common]) {
				return true
			}
		}
	}
	return false
}

// Defines reports whether a rule of the module may have a value at, above or below a path.
func (f *Facts) Defines(path []string) bool {
	common := min(len(f.Package), len(path))
	if !slices.Equal(f.Package[:common], path[:common]) {
		return false
	}
	rest := path[common:]
	return slices.ContainsFunc(f.Heads, func(head Head) bool {
		common := min(len(head.Path), len(rest))
		return slices.Equal(head.Path[:common], rest[:common])
	})
}

// OfPath returns the keys of the modules that `data.<path>` can reach, sorted. Nothing: only base data
// is there.
func (x *Index) OfPath(path []string) []string {
	found := map[int]bool{}
	x.touch(path, found)
	return x.close(found)
}

// OfPackage returns the keys of the unit of a package, sorted; nil if there is no such package.
func (x *Index) OfPackage(path []string) []string {
	at := x.find(path)
	if at == nil || at.number < 0 {
		return nil
	}
	return x.close(map[int]bool{at.number: true})
}

func (x *Index) close(found map[int]bool) []string {
	waiting := sortedNumbers(found)
	var keys []string
	for len(waiting) > 0 {
		p := x.packages[waiting[len(waiting)-1]]
		waiting = waiting[:len(waiting)-1]
		keys = append(keys, p.keys...)
		for _, next := range p.edges {
			if !found[next] {
				found[next] = true
				waiting = append(waiting, next)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

// Packages returns the paths of all packages, sorted.
func (x *Index) Packages() [][]string {
	paths := make([][]string, len(x.packages))
	for i, p := range x.packages {
		paths[i] = p.path
	}
	return paths
}

// Facts returns the facts of a module; nil if there is no such key.
func (x *Index) Facts(key string) *Facts { return x.modules[key] }

// Keys returns the keys of a package's own modules, sorted.
func (x *Index) Keys(path []string) []string {
	at := x.find(path)
	if at == nil || at.number < 0 {
		return nil
	}
	return x.packages[at.number].keys
}

func sortedNumbers(set map[int]bool) []int {
	numbers := make([]int, 0, len(set))
	for number := range set {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	return numbers
}
