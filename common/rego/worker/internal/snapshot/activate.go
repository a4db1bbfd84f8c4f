package snapshot

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/util"

	"notp.core-platform.internal/notp-pdp/internal/content"
	"notp.core-platform.internal/notp-pdp/internal/frame"
	"notp.core-platform.internal/notp-pdp/internal/unit"
)

// change is one activation under way.
type change struct {
	engine  *Engine
	base    *snapshot // nil: from nothing
	next    *snapshot
	modules []string   // keys that are new, changed or gone
	mounts  [][]string // places whose base data may differ
	trees   *trees
	count   int // units compiled

	isAccepted bool // it need not be judged again

	affected unit.Affected // packages whose units may differ
}

// Activate makes the next snapshot and swaps it in; on failure the active one stays. It returns how
// many units were compiled.
func (e *Engine) Activate(ctx context.Context, request frame.Activate) (int, *Failure) {
	e.activating.Lock()
	defer e.activating.Unlock()
	c := &change{engine: e, trees: newTrees(), isAccepted: request.IsAccepted}
	failure := c.run(ctx, request)
	if failure == nil {
		e.active.Store(c.next)
	}
	e.limitUnits(0)
	if failure != nil {
		return 0, failure
	}
	return c.count, nil
}

// limitUnits bounds the compiled units by what the active snapshot's modules are, and more.
func (e *Engine) limitUnits(more int) {
	bytes := e.options.UnitBytesMax + more
	if active := e.active.Load(); active != nil {
		bytes += active.unitBytes
	}
	e.units.limit(bytes)
}

// Collect forgets content that was staged until `mark` and that the active snapshot does not have.
func (e *Engine) Collect(mark uint64) {
	e.activating.Lock()
	defer e.activating.Unlock()
	if active := e.active.Load(); active != nil {
		e.content.Keep(mark, active.hasModule(), active.hasDocument())
	}
}

func (c *change) run(ctx context.Context, request frame.Activate) *Failure {
	if failure := c.begin(request); failure != nil {
		return failure
	}
	if failure := c.apply(request); failure != nil {
		return failure
	}
	if failure := c.mergeData(request); failure != nil {
		return failure
	}
	if failure := c.describe(ctx); failure != nil {
		return failure
	}
	c.findChanged()
	c.next.findLogRules()
	c.makeRoom()
	if failure := c.compileChanged(ctx); failure != nil {
		return failure
	}
	if !c.isAccepted {
		if failure := c.checkHeads(); failure != nil {
			return failure
		}
	}
	return c.warm(ctx)
}

// begin copies the lists of the base.
func (c *change) begin(request frame.Activate) *Failure {
	if request.Snapshot == 0 {
		return &Failure{"path", "a snapshot with the number 0"}
	}
	c.next = &snapshot{
		number: request.Snapshot, modules: map[string]*module{}, documents: map[string]*document{},
		good: map[string]bool{}, paths: newRecent[*path](pathsMax),
	}
	if request.Base == 0 {
		return nil
	}
	c.base = c.engine.active.Load()
	if c.base == nil || c.base.number != request.Base {
		return &Failure{"base", "the base is not the active snapshot"}
	}
	c.next.modules, c.next.documents = maps.Clone(c.base.modules), maps.Clone(c.base.documents)
	return nil
}

// apply puts what the request names into the lists. Content that was never staged fails it.
func (c *change) apply(request frame.Activate) *Failure {
	for _, each := range request.Ledgers {
		terms := ledger{name: each.Name}
		var capabilities struct {
			Allow []string `json:"allow"`
		}
		if len(each.Capabilities) > 0 && json.Unmarshal(each.Capabilities, &capabilities) != nil {
			return rejected([]Finding{{Path: each.Name, Code: "capabilities", Message: "the capabilities cannot be read"}})
		}
		terms.allow = slices.Sorted(slices.Values(capabilities.Allow))
		c.next.ledgers = append(c.next.ledgers, terms)
	}
	missing := map[content.Hash]bool{}
	for _, key := range request.ModulesGone {
		delete(c.next.modules, key)
		c.modules = append(c.modules, key)
	}
	for _, each := range request.Modules {
		text := c.engine.content.Module(each.Hash)
		if text == nil {
			missing[each.Hash] = true
			continue
		}
		c.next.modules[each.Key] = &module{Module: each, content: text}
	}
	for _, key := range request.DocumentsGone {
		c.dropDocument(key)
	}
	for _, each := range request.Documents {
		c.dropDocument(each.Key)
		value := c.engine.content.Document(each.Hash)
		if value == nil {
			missing[each.Hash] = true
			continue
		}
		c.mounts = append(c.mounts, each.Mount)
		c.next.documents[each.Key] = &document{each, value}
	}
	return missingFailure(missing)
}

func (c *change) dropDocument(key string) {
	if old := c.next.documents[key]; old != nil {
		c.mounts = append(c.mounts, old.Mount)
		delete(c.next.documents, key)
	}
}

func missingFailure(missing map[content.Hash]bool) *Failure {
	if len(missing) == 0 {
		return nil
	}
	var hashes []string
	for hash := range missing {
		hashes = append(hashes, hash.String())
	}
	slices.Sort(hashes)
	text, _ := json.Marshal(hashes)
	return &Failure{"missing", string(text)}
}

// mergeData makes the tree of base data. What documents hold is shared with the base.
func (c *change) mergeData(request frame.Activate) *Failure {
	next := c.next
	if c.base != nil {
		next.merged, next.system = c.base.merged, c.base.system
	}
	if request.HasSystem {
		next.system = nil
		if len(request.System) > 0 {
			if err := util.NewJSONDecoder(bytes.NewReader(request.System)).Decode(&next.system); err != nil {
				return rejected([]Finding{{Path: "data.system.notp", Code: "document", Message: err.Error()}})
			}
		}
		c.mounts = append(c.mounts, []string{"system", "notp"})
	}
	if c.base == nil || len(request.Documents)+len(request.DocumentsGone) > 0 {
		if failure := c.mergeDocuments(); failure != nil {
			return failure
		}
	} else if !request.HasSystem {
		next.data = c.base.data
		return nil
	}
	if system, ok := next.merged["system"].(map[string]any); ok && system["notp"] != nil || !ok && next.merged["system"] != nil {
		return rejected([]Finding{{Path: "data.system", Code: "merge", Message: "data.system.notp is reserved"}})
	}
	next.data = &data{root: withSystem(next.merged, next.system)}
	return nil
}

func (c *change) mergeDocuments() *Failure {
	tree := newBuilder()
	var findings []Finding
	misfit := map[content.Hash]bool{}
	for _, key := range slices.Sorted(maps.Keys(c.next.documents)) {
		each := c.next.documents[key]
		value, err := each.content.Value()
		if err == content.ErrPatch {
			misfit[each.Hash] = true
			continue
		}
		if err == nil {
			err = tree.put(each.Mount, value)
		}
		if err != nil {
			findings = append(findings, Finding{Path: key, Code: "document", Message: err.Error()})
		}
	}
	if failure := missingFailure(misfit); failure != nil {
		return failure
	}
	if len(findings) > 0 {
		return rejected(findings)
	}
	c.next.merged = tree.root
	return nil
}

// describe gives every new module its facts; a text that was not seen before is parsed.
func (c *change) describe(ctx context.Context) *Failure {
	next := c.next
	var unknown []*module
	for _, m := range next.modules {
		if m.facts == nil {
			if m.facts = m.content.Facts(m.Version); m.facts == nil {
				unknown = append(unknown, m)
			}
		}
	}
	slices.SortFunc(unknown, func(a, b *module) int { return strings.Compare(a.Key, b.Key) })
	findings := make([][]Finding, len(unknown))
	c.each(ctx, len(unknown), func(i int) {
		m := unknown[i]
		tree, err := m.content.Parse(m.Key, m.Version)
		if err != nil {
			findings[i] = findingsOf(m.Key, err)
			return
		}
		m.facts = m.content.Facts(m.Version)
		if !m.Withheld && !c.isAccepted {
			c.trees.putEarly(m.Key, tree, len(m.content.Text))
		}
	})
	if ctx.Err() != nil {
		return cancelledFailure()
	}
	if all := slices.Concat(findings...); len(all) > 0 {
		return rejected(all)
	}
	return c.withhold()
}

// withhold puts stand-ins in the places of withheld modules: what they define depends on who calls.
func (c *change) withhold() *Failure {
	var callers []*unit.Facts
	var withheld []*module
	for _, m := range c.next.modules {
		if m.Withheld {
			withheld = append(withheld, m)
		}
	}
	if len(withheld) == 0 {
		return nil
	}
	for _, m := range c.next.modules {
		if !m.Withheld {
			callers = append(callers, m.facts)
		}
	}
	for _, m := range withheld {
		// The module may be one of the base, which does not change.
		full := m.content.Facts(m.Version)
		changed := &module{Module: m.Module, content: m.content, facts: &unit.Facts{Package: full.Package}}
		if stubs := unit.Stubs(callers, []*unit.Facts{full}); len(stubs) > 0 {
			changed.stub = stubs[0]
			tree, err := unit.Parse(m.Key, changed.stub, 1)
			if err != nil {
				return rejected(findingsOf(m.Key, err))
			}
			changed.facts = unit.FactsOf(tree)
		}
		c.next.modules[m.Key] = changed
	}
	return nil
}

// findChanged finds the modules whose compile may differ from the base's, and indexes all.
func (c *change) findChanged() {
	next := c.next
	terms := make([]string, len(next.ledgers))
	for i, each := range next.ledgers {
		terms[i] = strings.Join(each.allow, ",")
	}
	sameTerms := c.base != nil && slices.EqualFunc(c.base.ledgers, next.ledgers, func(a, b ledger) bool {
		return slices.Equal(a.allow, b.allow)
	})
	changed := map[string]*unit.Facts{}
	for _, key := range c.modules { // gone, unless given anew
		changed[key] = nil
	}
	for key, m := range next.modules {
		if m.identity != "" && sameTerms {
			continue
		}
		allow := ""
		if int(m.Ledger) < len(terms) {
			allow = terms[m.Ledger]
		}
		identity := identityOf(m, allow)
		switch m.identity {
		case "":
			m.identity = identity
		case identity:
		default: // the same file under other terms
			other := *m
			other.identity = identity
			m, next.modules[key] = &other, &other
		}
		if c.base == nil || c.base.modules[key] == nil || c.base.modules[key].identity != identity {
			changed[key] = m.facts
		} else {
			delete(changed, key)
		}
	}
	c.modules = slices.Sorted(maps.Keys(changed))
	if c.base == nil {
		next.index = unit.NewIndex(changed)
		c.affected = next.index.Affected(nil, nil)
		return
	}
	next.index = c.base.index
	if len(changed) > 0 {
		next.index = c.base.index.With(changed)
	}
	c.affected = next.index.Affected(c.base.index, c.modules)
}

// makeRoom lets the units of both snapshots be there while one replaces the other: evaluations go on.
func (c *change) makeRoom() {
	for _, m := range c.next.modules {
		c.next.unitBytes += unitBytesOwn + len(m.content.Text)
	}
	changed := 0
	for _, key := range c.modules {
		if m := c.next.modules[key]; m != nil {
			changed += unitBytesOwn + len(m.content.Text)
		}
	}
	c.engine.limitUnits(changed)
}

func identityOf(m *module, allow string) string {
	var text strings.Builder
	text.Grow(80 + len(m.stub))
	text.WriteString(hex.EncodeToString(m.Hash[:]))
	text.WriteByte('0' + m.Version)
	if m.Withheld {
		text.WriteString(" withheld ")
		text.WriteString(m.stub)
	}
	text.WriteByte(' ')
	text.WriteString(allow)
	return text.String()
}

func (s *snapshot) hasModule() func(content.Hash) bool {
	hashes := make(map[content.Hash]bool, len(s.modules))
	for _, m := range s.modules {
		hashes[m.Hash] = true
	}
	return func(hash content.Hash) bool { return hashes[hash] }
}

func (s *snapshot) hasDocument() func(content.Hash) bool {
	hashes := make(map[content.Hash]bool, len(s.documents))
	for _, d := range s.documents {
		hashes[d.Hash] = true
	}
	return func(hash content.Hash) bool { return hashes[hash] }
}
