package snapshot

import (
	"container/list"
	"errors"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
)

// compiled is a unit that is ready to be asked. Thread-safe.
type compiled struct {
	compiler *ast.Compiler
	replaces bool              // as unit.Replaces
	txn      *builtin.TxnRules // of verifying transaction tokens; nil: it does not
	bytes    int               // of its modules' texts, and its own

	mutex   sync.Mutex
	queries *recent[*query] // by path
}

// query is `data.<path>`, compiled. It depends on the unit alone, not on data.
type query struct {
	body     ast.Body
	compiler ast.QueryCompiler
	err      error
	ruled    bool // a rule is at the path, or above it
}

const queriesMax = 256 // of one unit

// answer is the variable that OPA's server reads the value from; explanations show it.
const answer = ast.Var(ast.WildcardPrefix + "term1")

// query returns the query for a path, by a text that identifies the path.
func (u *compiled) query(key string, ref ast.Ref, m metrics.Metrics) *query {
	u.mutex.Lock()
	found := u.queries.get(key)
	u.mutex.Unlock()
	if found != nil {
		m.Counter(metrics.ServerQueryCacheHit).Incr()
		return found
	}
	m.Timer(metrics.RegoQueryCompile).Start()
	defer m.Timer(metrics.RegoQueryCompile).Stop()
	made := &query{compiler: u.compiler.QueryCompiler(), ruled: len(u.compiler.GetRulesForVirtualDocument(ref)) > 0}
	made.body, made.err = made.compiler.Compile(queryOf(ref))
	u.mutex.Lock()
	defer u.mutex.Unlock()
	u.queries.put(key, made)
	return made
}

// queryOf asks for the value at a reference. It is parsed as OPA's server does it, for the places in
// explanations; a reference whose text does not parse is asked for without.
func queryOf(ref ast.Ref) ast.Body {
	equality := ast.Equality.Expr(ast.NewTerm(ref), ast.NewTerm(answer))
	body, err := ast.ParseBody(ref.String())
	if err == nil && len(body) == 1 {
		if term, ok := body[0].Terms.(*ast.Term); ok && ref.Equal(term.Value) {
			body[0].Terms = ast.Equality.Expr(term, ast.NewTerm(answer)).Terms
			return body
		}
	}
	return ast.NewBody(equality)
}

// unitBytesOwn is what a unit is counted beside its text. A compiled unit takes some eighty times the
// memory of its text, and 80 KiB however short that is. The supervisor grants memory for what a
// snapshot's modules take when each is compiled once.
const unitBytesOwn = 1 << 10

// unitCache keeps compiled units by fingerprint, the last used ones, up to a sum of their bytes.
// Thread-safe.
type unitCache struct {
	mutex    sync.Mutex
	bytes    int
	bytesMax int
	order    list.List // of *unitEntry, the last used first
	entries  map[string]*list.Element
	places   chan struct{} // bounds the compiles at once
}

type unitEntry struct {
	fingerprint string
	ready       chan struct{} // closed when unit or err is set
	unit        *compiled
	err         error
	settled     bool // counted; guarded by the cache's mutex
	bytes       int  // the same
}

func newUnitCache(bytesMax, threads int) *unitCache {
	return &unitCache{bytesMax: bytesMax, entries: map[string]*list.Element{}, places: make(chan struct{}, max(1, threads))}
}

// get returns a unit, compiling it if it is not there. Concurrent callers wait for one compile, which
// goes on when a caller gives up: the next one finds it done, or further on. It fails with
// errGaveUp then; `giveUp` may be nil.
func (c *unitCache) get(fingerprint string, giveUp func() <-chan struct{}, compile func() (*compiled, error)) (*compiled, error) {
	c.mutex.Lock()
	element := c.entries[fingerprint]
	if element == nil {
		element = c.order.PushFront(&unitEntry{fingerprint: fingerprint, ready: make(chan struct{})})
		c.entries[fingerprint] = element
		go c.make(element, compile)
	} else {
		c.order.MoveToFront(element)
	}
	entry := element.Value.(*unitEntry)
	c.mutex.Unlock()
	select {
	case <-entry.ready:
		return entry.unit, entry.err
	default:
	}
	var gaveUp <-chan struct{}
	if giveUp != nil {
		gaveUp = giveUp()
	}
	select {
	case <-entry.ready:
		return entry.unit, entry.err
	case <-gaveUp:
		return nil, errGaveUp
	}
}

var errGaveUp = errors.New("the caller does not wait any more")

func (c *unitCache) make(element *list.Element, compile func() (*compiled, error)) {
	entry := element.Value.(*unitEntry)
	c.places <- struct{}{}
	entry.unit, entry.err = compile()
	<-c.places
	c.settle(element, entry)
	close(entry.ready)
}

// has reports whether a unit is there or being compiled.
func (c *unitCache) has(fingerprint string) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.entries[fingerprint] != nil
}

// settle counts a unit that was just compiled and drops those that were not used for longest.
func (c *unitCache) settle(element *list.Element, entry *unitEntry) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.entries[entry.fingerprint] != element {
		return
	}
	if entry.err != nil {
		c.remove(element)
		return
	}
	entry.settled, entry.bytes = true, entry.unit.bytes
	c.bytes += entry.bytes
	c.trim(element)
}

// limit sets the sum of bytes that are kept.
func (c *unitCache) limit(bytesMax int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.bytesMax = bytesMax
	c.trim(nil)
}

// trim drops what was not used for longest, but for one entry.
func (c *unitCache) trim(but *list.Element) {
	for at := c.order.Back(); at != nil && c.bytes > c.bytesMax; {
		last := at
		at = at.Prev()
		if old := last.Value.(*unitEntry); last != but && old.settled {
			c.bytes -= old.bytes
			c.remove(last)
		}
	}
}

func (c *unitCache) remove(element *list.Element) {
	delete(c.entries, element.Value.(*unitEntry).fingerprint)
	c.order.Remove(element)
}

func (c *unitCache) clear() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.entries = map[string]*list.Element{}
	c.order.Init()
	c.bytes = 0
}
