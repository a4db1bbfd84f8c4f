package check

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"notp.core-platform.internal/notp-pdp/internal/unit"
)

// readDocuments finds what cannot be read. A document that was read before is not asked for.
func (c *checker) readDocuments() {
	for i := range c.q.Documents {
		d := &c.q.Documents[i]
		fingerprint := goodDocument + digestOf(c.salt, d.Hash)
		if len(d.Mount) == 0 {
			fingerprint += "r" // at the root it must be an object
		}
		if c.known[fingerprint] {
			c.good(fingerprint)
			continue
		}
		value, problem, ok := c.content.Document(d.hash)
		switch {
		case !ok:
			c.want(&d.file)
			continue
		case problem != nil:
			c.found.add(Finding{Path: d.Path, Code: dataError, Message: problem.Error()})
			continue
		}
		if _, isObject := value.(map[string]any); !isObject && len(d.Mount) == 0 {
			c.found.add(Finding{Path: d.Path, Code: dataError, Message: "document must be of type object"})
			continue
		}
		c.good(fingerprint)
	}
}

func digestOf(parts ...string) string {
	digest := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(digest[:fingerprintBytes])
}

// mounts finds the documents at, above and below a path.
type mounts struct{ root *mountNode }

type mountNode struct {
	children  map[string]*mountNode
	documents []*documentFile
}

func newMounts(documents []documentFile) *mounts {
	m := &mounts{root: &mountNode{}}
	for i := range documents {
		at := m.root
		for _, segment := range documents[i].Mount {
			if at.children == nil {
				at.children = map[string]*mountNode{}
			}
			next := at.children[segment]
			if next == nil {
				next = &mountNode{}
				at.children[segment] = next
			}
			at = next
		}
		at.documents = append(at.documents, &documents[i])
	}
	return m
}

// touch calls `each` for the documents that hold something at, above or below a path.
func (m *mounts) touch(path []string, each func(*documentFile)) {
	at := m.root
	for _, segment := range path {
		for _, d := range at.documents {
			each(d)
		}
		if at = at.children[segment]; at == nil {
			return
		}
	}
	at.below(each)
}

func (n *mountNode) below(each func(*documentFile)) {
	for _, d := range n.documents {
		each(d)
	}
	for _, next := range n.children {
		next.below(each)
	}
}

// touched returns the documents that modules with these facts refer to, by path of the file.
func (m *mounts) touched(all []*unit.Facts) map[string]*documentFile {
	found := map[string]*documentFile{}
	for _, facts := range all {
		for _, ref := range facts.Refs {
			m.touch(ref, func(d *documentFile) { found[d.Path] = d })
		}
		// A rule that overlaps a document is found as such; its value is merged with what is below.
		for _, head := range facts.Heads {
			m.touch(join(facts.Package, head.Path), func(d *documentFile) { found[d.Path] = d })
		}
	}
	return found
}

// identity adds the documents that a package's own modules refer to.
func (m *mounts) identity(to []byte, all []*unit.Facts) []byte {
	found := m.touched(all)
	paths := make([]string, 0, len(found))
	for path := range found {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		d := found[path]
		to = append(to, 1)
		to = append(to, path...)
		to = append(to, 0)
		to = append(to, strings.Join(d.Mount, "\x00")...)
		to = append(to, 0)
		to = append(to, d.hash[:]...)
	}
	return to
}

// checkOverlaps finds documents that cannot be merged, as OPA's loader does.
func (c *checker) checkOverlaps() {
	m := newMounts(c.q.Documents)
	for _, group := range overlapping(m.root, nil) {
		slices.SortFunc(group, func(a, b *documentFile) int { return strings.Compare(a.Path, b.Path) })
		parts := []string{c.salt}
		for _, d := range group {
			parts = append(parts, d.Path, strings.Join(d.Mount, "/"), d.Hash)
		}
		fingerprint := goodOverlap + digestOf(parts...)
		if c.known[fingerprint] {
			c.good(fingerprint)
			continue
		}
		if !c.staged(group) {
			continue
		}
		if _, problem := c.merge(group); problem != nil {
			c.found.add(*problem)
		} else {
			c.good(fingerprint)
		}
	}
}

// staged asks for what is missing of the documents.
func (c *checker) staged(group []*documentFile) bool {
	all := true
	for _, d := range group {
		if _, _, ok := c.content.Document(d.hash); !ok {
			c.want(&d.file)
			all = false
		}
	}
	return all
}

// overlapping returns the groups of two and more documents, one of them at a place and all others at
// or below it.
func overlapping(at *mountNode, groups [][]*documentFile) [][]*documentFile {
	if len(at.documents) == 0 {
		for _, next := range at.children {
			groups = overlapping(next, groups)
		}
		return groups
	}
	var group []*documentFile
	at.below(func(d *documentFile) { group = append(group, d) })
	if len(group) > 1 {
		groups = append(groups, group)
	}
	return groups
}

// merge returns one object of the documents, which are sorted by path. What is not staged is wanted.
func (c *checker) merge(documents []*documentFile) (map[string]any, *Finding) {
	root := map[string]any{}
	places := map[string]string{} // of which file the first value at a place is
	for _, d := range documents {
		value, problem, ok := c.content.Document(d.hash)
		if !ok {
			c.want(&d.file)
			continue
		}
		if problem != nil {
			return nil, &Finding{Path: d.Path, Code: dataError, Message: problem.Error()}
		}
		for i := len(d.Mount) - 1; i >= 0; i-- {
			value = map[string]any{d.Mount[i]: value}
		}
		object, isObject := value.(map[string]any)
		if !isObject {
			return nil, &Finding{Path: d.Path, Code: dataError, Message: "document must be of type object"}
		}
		merged, conflict := merged(root, object)
		if conflict != nil {
			return nil, &Finding{Path: d.Path, Code: dataError, Message: "merge error: conflicting values at " +
				refText(conflict) + otherFile(places, conflict)}
		}
		root = merged
		notePlaces(places, d, object)
	}
	return root, nil
}

// merged returns both objects in one; neither is changed. Or the path of the first two values that
// are not both objects.
func merged(a, b map[string]any) (map[string]any, []string) {
	both := make(map[string]any, len(a)+len(b))
	for key, value := range a {
		both[key] = value
	}
	keys := make([]string, 0, len(b))
	for key := range b {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		old, there := both[key]
		if !there {
			both[key] = b[key]
			continue
		}
		oldObject, oldOk := old.(map[string]any)
		newObject, newOk := b[key].(map[string]any)
		if !oldOk || !newOk {
			return nil, []string{key}
		}
		value, conflict := merged(oldObject, newObject)
		if conflict != nil {
			return nil, append([]string{key}, conflict...)
		}
		both[key] = value
	}
	return both, nil
}

// notePlaces remembers whose the members at the top of a document are: enough to name the other file
// of most conflicts.
func notePlaces(places map[string]string, d *documentFile, object map[string]any) {
	at := object
	path := []string{}
	for _, segment := range d.Mount {
		path = append(path, segment)
		next, isObject := at[segment].(map[string]any)
		if !isObject {
			places[strings.Join(path, "\x00")] = d.Path
			return
		}
		at = next
	}
	for key := range at {
		place := strings.Join(append(path, key), "\x00")
		if _, there := places[place]; !there {
			places[place] = d.Path
		}
	}
}

func otherFile(places map[string]string, conflict []string) string {
	for n := len(conflict); n > 0; n-- {
		if other := places[strings.Join(conflict[:n], "\x00")]; other != "" {
			return ", also defined in " + other
		}
	}
	return ", data from multiple files must not overlap"
}

func refText(path []string) string {
	ref := ast.Ref{ast.DefaultRootDocument}
	for _, segment := range path {
		ref = append(ref, ast.StringTerm(segment))
	}
	return ref.String()
}

// headAt is a rule that may lie over a document.
type headAt struct {
	path   []string // below data
	module string
	row    int
}

// checkHeads finds rules over base data. Only a document with a rule's path inside it is looked into.
func (c *checker) checkHeads() {
	if len(c.q.Documents) == 0 {
		return
	}
	m := newMounts(c.q.Documents)
	inside := map[*documentFile][]headAt{}
	seen := map[string]bool{}
	for i := range c.q.Modules {
		path := c.q.Modules[i].Path
		facts := c.modules[path].facts
		for _, head := range facts.Heads {
			if head.Keyed {
				continue
			}
			at := headAt{path: join(facts.Package, head.Path), module: path, row: head.Row}
			if key := strings.Join(at.path, "\x00"); !seen[key] {
				seen[key] = true
				c.placeHead(m, at, inside)
			}
		}
	}
	for i := range c.q.Documents {
		if d := &c.q.Documents[i]; len(inside[d]) > 0 {
			c.checkHeadsIn(d, inside[d])
		}
	}
}

// placeHead finds the documents that a rule is over. A document below a rule is one that the rule is
// over, whatever it holds.
func (c *checker) placeHead(m *mounts, head headAt, inside map[*documentFile][]headAt) {
	at := m.root
	for _, segment := range head.path {
		for _, d := range at.documents {
			inside[d] = append(inside[d], head)
		}
		if at = at.children[segment]; at == nil {
			return
		}
	}
	c.addHeadConflict(head)
}

func (c *checker) addHeadConflict(head headAt) {
	c.found.add(Finding{Path: head.module, Row: head.row, Col: 1, Code: ast.CompileErr,
		Message: "conflicting rule for data path " + strings.Join(head.path, "/") + " found"})
}

func (c *checker) checkHeadsIn(d *documentFile, heads []headAt) {
	paths := make([]string, 0, len(heads))
	for _, head := range heads {
		text, _ := json.Marshal(head.path[len(d.Mount):])
		paths = append(paths, string(text))
	}
	slices.Sort(paths)
	fingerprint := goodHeads + digestOf(append([]string{c.salt, d.Hash}, paths...)...)
	if c.known[fingerprint] {
		c.good(fingerprint)
		return
	}
	value, problem, ok := c.content.Document(d.hash)
	if !ok {
		c.want(&d.file)
		return
	}
	if problem != nil {
		return // it has its own finding
	}
	free := true
	for _, head := range heads {
		if occupied(value, head.path[len(d.Mount):]) {
			c.addHeadConflict(head)
			free = false
		}
	}
	if free {
		c.good(fingerprint)
	}
}

// occupied reports whether a value has something at a path, or above it something that is no object.
func occupied(value any, path []string) bool {
	for _, segment := range path {
		object, isObject := value.(map[string]any)
		if !isObject {
			return true
		}
		if value, isObject = object[segment]; !isObject {
			return false
		}
	}
	return true
}

func join(a, b []string) []string { return append(slices.Clip(slices.Clone(a)), b...) }
