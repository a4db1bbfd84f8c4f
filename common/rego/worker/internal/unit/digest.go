package unit

import (
	"bytes"
	"crypto/sha256"
	"slices"
)

// Digest identifies all that a unit depends on.
type Digest [sha256.Size]byte

// Digests returns the digests of the units of all packages, in the order of Packages. Two units with
// one digest hold the same packages, if `own` gives everything that the unit depends on because of one
// package: the identity of its modules and whatever else it uses.
//
// A digest is of the package and of the digests of what it reaches, so that the time is that of one
// walk, however large the units are. Packages that reach each other have one digest between them.
func (x *Index) Digests(own func(path []string, keys []string) []byte) []Digest {
	d := digester{
		index: x, own: make([]Digest, len(x.packages)), group: make([]Digest, len(x.packages)),
		order: make([]int, len(x.packages)), low: make([]int, len(x.packages)),
		waiting: make([]bool, len(x.packages)), done: make([]bool, len(x.packages)),
	}
	for i, p := range x.packages {
		d.own[i] = sha256.Sum256(own(p.path, p.keys))
	}
	for i := range x.packages {
		if d.order[i] == 0 {
			d.visit(i)
		}
	}
	all := make([]Digest, len(x.packages))
	for i := range x.packages {
		all[i] = sha256.Sum256(append(slices.Clone(d.own[i][:]), d.group[i][:]...))
	}
	return all
}

// digester finds strongly connected groups as Tarjan does: a group is complete after all that it
// reaches.
type digester struct {
	index   *Index
	own     []Digest
	group   []Digest
	order   []int // from 1; 0: not visited
	low     []int
	waiting []bool // on the stack
	done    []bool // its group is complete
	stack   []int
	count   int
}

func (d *digester) visit(at int) {
	d.count++
	d.order[at], d.low[at] = d.count, d.count
	d.stack = append(d.stack, at)
	d.waiting[at] = true
	for _, next := range d.index.packages[at].edges {
		if d.order[next] == 0 {
			d.visit(next)
			d.low[at] = min(d.low[at], d.low[next])
		} else if d.waiting[next] {
			d.low[at] = min(d.low[at], d.order[next])
		}
	}
	if d.low[at] == d.order[at] {
		d.complete(slices.Index(d.stack, at))
	}
}

// complete takes the group from the stack and gives its members their digest.
func (d *digester) complete(from int) {
	members := slices.Clone(d.stack[from:])
	d.stack = d.stack[:from]
	parts := map[Digest]bool{}
	for _, member := range members {
		d.waiting[member] = false
		parts[d.own[member]] = true
		for _, next := range d.index.packages[member].edges {
			if d.done[next] {
				parts[d.group[next]] = true
			}
		}
	}
	sorted := make([]Digest, 0, len(parts))
	for part := range parts {
		sorted = append(sorted, part)
	}
	slices.SortFunc(sorted, func(a, b Digest) int { return bytes.Compare(a[:], b[:]) })
	digest := sha256.New()
	for _, part := range sorted {
		digest.Write(part[:])
	}
	for _, member := range members {
		digest.Sum(d.group[member][:0])
		d.done[member] = true
	}
}

// Reaching returns the keys of all modules in the units of these packages, sorted.
func (x *Index) Reaching(packages [][]string) []string {
	found := map[int]bool{}
	for _, path := range packages {
		if at := x.find(path); at != nil && at.number >= 0 {
			found[at.number] = true
		}
	}
	return x.close(found)
}
