package unit

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// Index knows which packages of a set of modules reach which others. It is immutable and safe for
// concurrent use.
type Index struct {
	modules  map[string]*Facts // by key
	packages []*pack           // sorted by path
	root     *node
}

type pack struct {
	path   []string
	keys   []string // of its modules, sorted
	number int
	edges  []int // numbers of packages that this one reaches at once
}

type node struct {
	children map[string]*node
	pack     *pack
}

// NewIndex builds the index of modules by key.
func NewIndex(modules map[string]*Facts) *Index {
	x := &Index{modules: modules, root: &node{}}
	for key, facts := range modules {
		at := x.root
		for _, segment := range facts.Package {
			at = at.child(segment)
		}
		if at.pack == nil {
			at.pack = &pack{path: facts.Package}
			x.packages = append(x.packages, at.pack)
		}
		at.pack.keys = append(at.pack.keys, key)
	}
	slices.SortFunc(x.packages, func(a, b *pack) int { return slices.Compare(a.path, b.path) })
	for i, each := range x.packages {
		each.number = i
		slices.Sort(each.keys)
	}
	for _, each := range x.packages {
		each.edges = x.edgesOf(each)
	}
	return x
}

func (n *node) child(segment string) *node {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	next := n.children[segment]
	if next == nil {
		next = &node{}
		n.children[segment] = next
	}
	return next
}

// edgesOf returns what a package reaches at once: what its references touch; what lies below one of
// its rules, because a name of the package that has a rule resolves to it, and because such pairs can
// conflict; packages above whose annotations are in force here.
func (x *Index) edgesOf(p *pack) []int {
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
		if at.pack != nil && x.annotatesBelow(at.pack) {
			found[at.pack.number] = true
		}
		at = at.children[segment]
	}
	delete(found, p.number)
	return sortedNumbers(found)
}

func (x *Index) annotatesBelow(p *pack) bool {
	return slices.ContainsFunc(p.keys, func(key string) bool { return x.modules[key].Subpackages })
}

// touch adds the packages at or below a path, and those above with a rule that may define it.
func (x *Index) touch(path []string, found map[int]bool) {
	at := x.root
	for depth, segment := range path {
		if at.pack != nil && !found[at.pack.number] && x.defines(at.pack, path[depth:]) {
			found[at.pack.number] = true
		}
		if at = at.children[segment]; at == nil {
			return
		}
	}
	x.below(at, found)
}

func (x *Index) below(at *node, found map[int]bool) {
	if at.pack != nil {
		found[at.pack.number] = true
	}
	for _, next := range at.children {
		x.below(next, found)
	}
}

// defines reports whether a rule of the package may have a value at, above or below the rest of a path.
func (x *Index) defines(p *pack, rest []string) bool {
	for _, key := range p.keys {
		for _, head := range x.modules[key].Heads {
			common := min(len(head.Path), len(rest))
			if slices.Equal(head.Path[:common], rest[:common]) {
				return true
			}
		}
	}
	return false
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
	at := x.root
	for _, segment := range path {
		if at = at.children[segment]; at == nil {
			return nil
		}
	}
	if at.pack == nil {
		return nil
	}
	return x.close(map[int]bool{at.pack.number: true})
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
	at := x.root
	for _, segment := range path {
		if at = at.children[segment]; at == nil {
			return nil
		}
	}
	if at.pack == nil {
		return nil
	}
	return at.pack.keys
}

// Affected returns the packages of `x` whose units may differ from those of `old`, given the keys of
// modules that are new, changed or gone; sorted. `old` may be nil.
func (x *Index) Affected(old *Index, changed []string) [][]string {
	seeds := map[string]bool{}
	for _, index := range []*Index{x, old} {
		if index == nil {
			continue
		}
		for _, key := range changed {
			if facts := index.modules[key]; facts != nil {
				seeds[pathKey(facts.Package)] = true
			}
		}
	}
	affected := map[string]bool{}
	for _, index := range []*Index{x, old} {
		if index != nil {
			index.reaching(seeds, affected)
		}
	}
	var paths [][]string
	for _, p := range x.packages {
		if affected[pathKey(p.path)] {
			paths = append(paths, p.path)
		}
	}
	return paths
}

// reaching adds the packages that reach one of the seeds.
func (x *Index) reaching(seeds, affected map[string]bool) {
	reverse := make([][]int, len(x.packages))
	var waiting []int
	seen := make([]bool, len(x.packages))
	for _, p := range x.packages {
		for _, next := range p.edges {
			reverse[next] = append(reverse[next], p.number)
		}
		if seeds[pathKey(p.path)] {
			seen[p.number] = true
			waiting = append(waiting, p.number)
		}
	}
	for len(waiting) > 0 {
		at := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		affected[pathKey(x.packages[at].path)] = true
		for _, next := range reverse[at] {
			if !seen[next] {
				seen[next] = true
				waiting = append(waiting, next)
			}
		}
	}
}

// Fingerprint identifies a unit: two units with the same fingerprint compile alike. `identity` gives,
// for a key, everything that a module's compile depends on (its hash, its Rego version, what its
// ledger allows); the key itself takes part, because locations name it.
func Fingerprint(keys []string, identity func(key string) string) string {
	digest := sha256.New()
	for _, key := range keys {
		for _, text := range []string{key, identity(key)} {
			digest.Write([]byte(text))
			digest.Write([]byte{0})
		}
	}
	return hex.EncodeToString(digest.Sum(nil))
}

// pathKey is a text that is different for different paths.
func pathKey(path []string) string {
	var text strings.Builder
	for _, segment := range path {
		text.WriteString(strconv.Itoa(len(segment)))
		text.WriteByte(':')
		text.WriteString(segment)
	}
	return text.String()
}

func sortedNumbers(set map[int]bool) []int {
	numbers := make([]int, 0, len(set))
	for number := range set {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	return numbers
}
