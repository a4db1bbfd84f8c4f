package unit

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// Affected are the packages whose units may differ between two indexes.
type Affected struct {
	index   *Index
	numbers map[int]bool
	old     *Index // nil: there was none
	before  map[int]bool
}

// Affected returns the packages of `x` whose units may differ from those of `old`, given the keys of
// modules that are new, changed or gone. Without `old` all are affected.
func (x *Index) Affected(old *Index, changed []string) Affected {
	a := Affected{index: x, numbers: map[int]bool{}, old: old, before: map[int]bool{}}
	if old == nil {
		for number := range x.packages {
			a.numbers[number] = true
		}
		return a
	}
	x.reaching(seeds(x, x, old, changed), a.numbers)
	old.reaching(seeds(old, x, old, changed), a.before)
	if old.root != x.root {
		for number := range a.before {
			if at := x.find(old.packages[number].path); at != nil && at.number >= 0 {
				a.numbers[at.number] = true
			}
		}
		return a
	}
	for number := range a.before {
		a.numbers[number] = true
	}
	return a
}

// Paths returns the packages' paths, sorted.
func (a Affected) Paths() [][]string {
	var paths [][]string
	for _, number := range sortedNumbers(a.numbers) {
		paths = append(paths, a.index.packages[number].path)
	}
	return paths
}

// Touches reports whether the unit of `data.<path>` may differ. A rule or a package that has gone is
// seen in the old index alone.
func (a Affected) Touches(path []string) bool {
	return touches(a.index, path, a.numbers) || a.old != nil && touches(a.old, path, a.before)
}

func touches(x *Index, path []string, numbers map[int]bool) bool {
	found := map[int]bool{}
	x.touch(path, found)
	for number := range found {
		if numbers[number] {
			return true
		}
	}
	return false
}

// seeds returns the packages of `x` that have or had one of the modules.
func seeds(x, one, other *Index, keys []string) []int {
	found := map[int]bool{}
	for _, key := range keys {
		for _, index := range []*Index{one, other} {
			if facts := index.modules[key]; facts != nil {
				if at := x.find(facts.Package); at != nil && at.number >= 0 {
					found[at.number] = true
				}
			}
		}
	}
	return sortedNumbers(found)
}

// reaching adds the packages that reach one of the given ones, and these.
func (x *Index) reaching(waiting []int, found map[int]bool) {
	x.reverse.once.Do(func() {
		x.reverse.from = make([][]int, len(x.packages))
		for number, p := range x.packages {
			for _, next := range p.edges {
				x.reverse.from[next] = append(x.reverse.from[next], number)
			}
		}
	})
	seen := map[int]bool{}
	for _, number := range waiting {
		seen[number] = true
	}
	for len(waiting) > 0 {
		at := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		found[at] = true
		for _, next := range x.reverse.from[at] {
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
