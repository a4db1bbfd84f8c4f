// Package snapshot keeps what decisions are made with: one immutable snapshot at a time, replaced by an
// atomic swap, and evaluates paths against it.
package snapshot

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown/cache"
	"github.com/open-policy-agent/opa/v1/util"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/content"
	"notp.core-platform.internal/notp-pdp/internal/frame"
	"notp.core-platform.internal/notp-pdp/internal/unit"
)

// Options of an engine.
type Options struct {
	ResultMax    int // bytes of one result's JSON
	UnitBytesMax int // of units that are kept compiled, beside what the snapshot's modules are: see unitBytesOwn
	Threads      int // that compile at once
}

// Engine holds the active snapshot. Thread-safe; activations exclude each other.
type Engine struct {
	options Options
	content *content.Store
	units   *unitCache
	values  cache.InterQueryValueCache // compiled patterns and the like
	memo    builtin.TxnMemo
	answers cache.InterQueryCache // of http.send

	activating sync.Mutex
	active     atomic.Pointer[snapshot]
}

// New returns an engine without a snapshot.
func New(store *content.Store, options Options) *Engine {
	values, answers := newCaches()
	return &Engine{
		options: options, content: store, units: newUnitCache(options.UnitBytesMax, options.Threads), values: values, answers: answers,
	}
}

// Number is the active snapshot's; 0: none.
func (e *Engine) Number() uint64 {
	if active := e.active.Load(); active != nil {
		return active.number
	}
	return 0
}

// Drop forgets the snapshot and all content that was staged until `mark`.
func (e *Engine) Drop(mark uint64) {
	e.activating.Lock()
	defer e.activating.Unlock()
	e.active.Store(nil)
	e.units.clear()
	e.units.limit(e.options.UnitBytesMax)
	none := func(content.Hash) bool { return false }
	e.content.Keep(mark, none, none)
}

// snapshot is immutable but for the list of paths that were asked.
type snapshot struct {
	number    uint64
	modules   map[string]*module
	documents map[string]*document
	ledgers   []ledger
	system    any
	merged    map[string]any // without system
	data      *data
	index     *unit.Index
	good      map[string]bool // fingerprints of units that compile
	unitBytes int             // of its modules, if each were a unit
	log       logRules

	mutex sync.Mutex
	paths *recent[*path]
}

// path is one that was asked.
type path struct {
	segments    []string
	fingerprint string
	age         int // activations since it was asked
}

const (
	pathsMax   = 4096 // of one snapshot
	pathAgeMax = 8
)

type module struct {
	frame.Module
	content  *content.Module
	stub     string // what stands in for a withheld module
	facts    *unit.Facts
	identity string // everything that its compile depends on
}

type document struct {
	frame.Document
	content *content.Document
}

type ledger struct {
	name  string
	allow []string
}

// refOf is the reference that OPA's data API makes of a path: an integer is a number, and an empty
// segment is none.
func refOf(segments []string) (ast.Ref, error) {
	ref := make(ast.Ref, 1, 1+len(segments))
	ref[0] = ast.DefaultRootDocument
	for _, segment := range segments {
		if segment == "" {
			continue
		}
		if strings.Contains(segment, `"`) {
			return nil, fmt.Errorf("invalid path: invalid ref term '%s'", segment)
		}
		if number, ok := util.Atoi64(segment); ok {
			ref = append(ref, ast.InternedTerm(number))
		} else {
			ref = append(ref, ast.InternedTerm(segment))
		}
	}
	return ref, nil
}

func pathKey(segments []string) string {
	size := 0
	for _, segment := range segments {
		size += len(segment) + 4
	}
	text := make([]byte, 0, size)
	for _, segment := range segments {
		text = strconv.AppendInt(text, int64(len(segment)), 10)
		text = append(text, ':')
		text = append(text, segment...)
	}
	return string(text)
}

// unitOf returns the compiled unit of a path, compiling it if that was not done yet.
func (e *Engine) unitOf(s *snapshot, segments []string, key string, meter *builtin.Meter) (*compiled, error) {
	s.mutex.Lock()
	asked := s.paths.get(key)
	if asked != nil {
		asked.age = 0
	}
	s.mutex.Unlock()
	if asked == nil {
		keys := s.index.OfPath(segments)
		asked = &path{segments: segments, fingerprint: s.fingerprint(keys)}
		s.remember(key, asked)
		return e.units.get(asked.fingerprint, meter.Done, func() (*compiled, error) { return s.compile(keys, nil) })
	}
	return e.units.get(asked.fingerprint, meter.Done, func() (*compiled, error) {
		return s.compile(s.index.OfPath(segments), nil)
	})
}

func (s *snapshot) remember(key string, asked *path) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.paths.put(key, asked)
}

func (s *snapshot) fingerprint(keys []string) string {
	return unit.Fingerprint(keys, func(key string) string { return s.modules[key].identity })
}
