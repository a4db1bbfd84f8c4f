// Package content keeps what the supervisor has staged, by hash: texts of modules and values of
// documents.
package content

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"

	"notp.core-platform.internal/notp-pdp/internal/unit"
)

// Hash identifies content. It is the supervisor's; nothing here computes it.
type Hash [32]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads a hash in hex.
func ParseHash(text string) (hash Hash, err error) {
	if hex.DecodedLen(len(text)) != len(hash) {
		return hash, fmt.Errorf("a hash of %d characters", len(text))
	}
	_, err = hex.Decode(hash[:], []byte(text))
	return hash, err
}

// Module is the text of a module and what is known of it. Immutable but for the facts, which are
// computed when they are first asked for. Thread-safe.
type Module struct {
	Hash Hash
	Text string

	mutex sync.Mutex
	facts [2]*unit.Facts // by Rego version
}

// Parse parses the text; the result is not kept, because syntax trees take far more memory than texts.
func (m *Module) Parse(key string, version uint8) (*ast.Module, error) {
	parsed, err := unit.Parse(key, m.Text, int(version))
	if err != nil {
		return nil, err
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.facts[version&1] == nil {
		m.facts[version&1] = unit.FactsOf(parsed)
	}
	return parsed, nil
}

// Facts returns what an earlier Parse found out; nil if there was none.
func (m *Module) Facts(version uint8) *unit.Facts {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.facts[version&1]
}

// Document is a value that OPA would have loaded from the document's text. Nobody changes it.
type Document struct {
	Hash  Hash
	ready chan struct{}
	value any
	err   error
	bytes int
}

// Value waits until the document is parsed. The error says what is wrong with its text.
func (d *Document) Value() (any, error) {
	<-d.ready
	return d.value, d.err
}

// parseBeside is the size from which a document is parsed beside the reading of frames: bytes.
const parseBeside = 16 << 10

// Store keeps staged content. Thread-safe.
type Store struct {
	mutex     sync.Mutex
	sequence  uint64
	modules   map[Hash]staged[*Module]
	documents map[Hash]staged[*Document]
	parsing   chan struct{} // bounds how many documents are parsed at once
}

type staged[T any] struct {
	content  T
	sequence uint64
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{
		modules:   map[Hash]staged[*Module]{},
		documents: map[Hash]staged[*Document]{},
		parsing:   make(chan struct{}, 2),
	}
}

// AddModule keeps a module's text.
func (s *Store) AddModule(hash Hash, text string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.sequence++
	module := s.modules[hash].content
	if module == nil {
		module = &Module{Hash: hash, Text: text}
	}
	s.modules[hash] = staged[*Module]{module, s.sequence}
}

// AddDocument keeps a document; a large one is parsed in the background. The text may be changed by
// the caller only after the document is ready.
func (s *Store) AddDocument(hash Hash, text []byte, yaml bool) {
	s.add(hash, len(text), len(text) >= parseBeside, nil, func() (any, error) { return parse(text, yaml) })
}

// AddPatch keeps the document that results from changes of another one. If the other one is not there
// or the changes do not fit it, the result is not there either.
func (s *Store) AddPatch(result, base Hash, changes []byte) {
	from := s.Document(base)
	if from == nil {
		return
	}
	s.add(result, from.bytes+len(changes), true, from.ready, func() (any, error) {
		value, err := from.Value()
		if err != nil {
			return nil, ErrPatch
		}
		return applyPatch(value, changes)
	})
}

// add keeps a document that `make` makes, here or in the background, after what it needs is ready.
func (s *Store) add(hash Hash, bytes int, beside bool, needs <-chan struct{}, make func() (any, error)) {
	s.mutex.Lock()
	s.sequence++
	if have := s.documents[hash].content; have != nil && !have.failedPatch() {
		s.documents[hash] = staged[*Document]{have, s.sequence}
		s.mutex.Unlock()
		return
	}
	document := newDocument(hash, bytes)
	s.documents[hash] = staged[*Document]{document, s.sequence}
	s.mutex.Unlock()
	work := func() {
		defer close(document.ready)
		document.value, document.err = make()
	}
	if !beside {
		work()
		return
	}
	go func() {
		if needs != nil {
			<-needs // before it takes the place of what it waits for
		}
		s.parsing <- struct{}{}
		defer func() { <-s.parsing }()
		work()
	}()
}

func newDocument(hash Hash, bytes int) *Document {
	return &Document{Hash: hash, ready: make(chan struct{}), bytes: bytes}
}

func (d *Document) failedPatch() bool {
	select {
	case <-d.ready:
		return d.err == ErrPatch
	default:
		return false
	}
}

// Module returns a module; nil if it was not staged.
func (s *Store) Module(hash Hash) *Module {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.modules[hash].content
}

// Document returns a document; nil if it was not staged.
func (s *Store) Document(hash Hash) *Document {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.documents[hash].content
}

// Mark returns the moment for Keep.
func (s *Store) Mark() uint64 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.sequence
}

// Keep forgets what was staged until `mark` and is not wanted.
func (s *Store) Keep(mark uint64, module, document func(Hash) bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for hash, each := range s.modules {
		if each.sequence <= mark && !module(hash) {
			delete(s.modules, hash)
		}
	}
	for hash, each := range s.documents {
		if each.sequence <= mark && !document(hash) {
			delete(s.documents, hash)
		}
	}
}

// Forget forgets what has these hashes and was staged until `mark`.
func (s *Store) Forget(hashes [][32]byte, mark uint64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, hash := range hashes {
		if s.modules[hash].sequence <= mark {
			delete(s.modules, hash)
		}
		if s.documents[hash].sequence <= mark {
			delete(s.documents, hash)
		}
	}
}

// Counts returns how many modules and documents are kept.
func (s *Store) Counts() (modules, documents int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return len(s.modules), len(s.documents)
}

var byteOrderMark = []byte{0xef, 0xbb, 0xbf}

// parse reads a document as OPA's loader does: numbers keep their text, and nothing may follow the
// value. A byte order mark is skipped, as OPA skips it in requests.
func parse(text []byte, yaml bool) (value any, err error) {
	text = bytes.TrimPrefix(text, byteOrderMark)
	if yaml {
		err = util.Unmarshal(text, &value)
	} else {
		err = util.UnmarshalJSON(text, &value)
	}
	return value, err
}
