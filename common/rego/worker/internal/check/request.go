// Package check judges a model as `opa check --strict` and `opa test` do, again and again: what an
// earlier report found of a content is said in the request and not found out anew.
package check

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"notp.core-platform.internal/notp-pdp/internal/unit"
)

// Hash names content.
type Hash = [32]byte

// Content is what was staged. It must be safe for concurrent use.
type Content interface {
	// Text returns a module's text.
	Text(hash Hash) (string, bool)
	// Document returns a parsed document, or what is wrong with it; false if it was not staged. The
	// value is shared: it is not changed.
	Document(hash Hash) (value any, problem error, ok bool)
}

// Failed is an answer with a code of the protocol.
type Failed struct{ Code, Message string }

func (f *Failed) Error() string { return f.Code + ": " + f.Message }

func failed(code, format string, args ...any) error {
	return &Failed{Code: code, Message: fmt.Sprintf(format, args...)}
}

type file struct {
	Path string `json:"path"`
	Hash string `json:"hash"`
	hash Hash
}

type moduleFile struct {
	file
	RegoVersion int  `json:"rego_version"`
	IsTest      bool `json:"is_test"` // nothing decides with it
	IsUsed      bool `json:"is_used"` // of another model, which the judged one uses
}

type documentFile struct {
	file
	Mount  []string `json:"mount"`
	IsTest bool     `json:"is_test"` // nothing decides with it
}

type request struct {
	Modules      []moduleFile   `json:"modules"`
	Documents    []documentFile `json:"documents"`
	Capabilities struct {
		Allow []string `json:"allow"`
	} `json:"capabilities"`
	Strict bool `json:"strict"`
	Tests  struct {
		Run      bool `json:"run"`
		Coverage bool `json:"coverage"`
		OneMs    int  `json:"one_ms"`
		AllMs    int  `json:"all_ms"`
		OneByOne bool `json:"one_by_one"`
	} `json:"tests"`
	Facts       map[string]*keptFacts `json:"facts"`
	Good        []string              `json:"good"`
	FindingsMax int                   `json:"findings_max"`
	NeedsOnly   bool                  `json:"needs_only"` // nothing is compiled or tested
}

// keptFacts are facts as a report has them. They say who found them: another version may look for more.
type keptFacts struct {
	By string `json:"by"`
	*unit.Facts
}

// Finding is one thing that is wrong, or with Warning set, that strict mode refuses.
type Finding struct {
	Path    string `json:"path"` // empty: it has no place
	Row     int    `json:"row"`  // from 1; 0: no place
	Col     int    `json:"col"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Warning bool   `json:"warning"`
}

// Outcomes of a test.
const (
	Pass   = "pass"
	Fail   = "fail"
	Broken = "error"
	Skip   = "skip"
)

// TestResult is of one test rule, or of one case of it, which Trail names then.
type TestResult struct {
	Path       string   `json:"path"`
	Row        int      `json:"row"`
	Package    string   `json:"package"`
	Name       string   `json:"name"`
	Outcome    string   `json:"outcome"`
	Message    string   `json:"message"`
	Output     string   `json:"output"`
	DurationNs int64    `json:"duration_ns"`
	Trail      []string `json:"trail"`
}

// Needs are what an engine must have beyond the least.
type Needs struct {
	Builtins []string `json:"builtins"`
	Features []string `json:"features"`
	RegoV0   bool     `json:"rego_v0"`
}

// Report is the answer. With Want set nothing else is.
type Report struct {
	Want       []string              `json:"want,omitempty"`
	Findings   []Finding             `json:"findings"`
	Packages   map[string][]string   `json:"packages"`
	Tests      []TestResult          `json:"tests"`
	TestsKnown int                   `json:"tests_known"`
	Coverage   json.RawMessage       `json:"coverage,omitempty"`
	Needs      Needs                 `json:"needs"`
	Facts      map[string]*keptFacts `json:"facts"`
	Good       []string              `json:"good"`
}

func decode(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return failed("request", "%v", err)
	}
	return nil
}

func (f *file) decodeHash() error {
	bytes, err := hex.DecodeString(f.Hash)
	if err != nil || copy(f.hash[:], bytes) != len(f.hash) || len(bytes) != len(f.hash) {
		return failed("request", "%s: the hash %q is not 32 bytes in hex", f.Path, f.Hash)
	}
	return nil
}

func decodeModules(files []moduleFile) error {
	seen := make(map[string]bool, len(files))
	for i := range files {
		if err := files[i].decodeHash(); err != nil {
			return err
		}
		if seen[files[i].Path] {
			return failed("request", "%s is there twice", files[i].Path)
		}
		seen[files[i].Path] = true
	}
	return nil
}

func decodeRequest(raw []byte) (*request, error) {
	q := &request{}
	if err := decode(raw, q); err != nil {
		return nil, err
	}
	if err := decodeModules(q.Modules); err != nil {
		return nil, err
	}
	for i := range q.Documents {
		if err := q.Documents[i].decodeHash(); err != nil {
			return nil, err
		}
	}
	if q.Tests.OneMs <= 0 {
		q.Tests.OneMs = 5_000
	}
	if q.Tests.AllMs <= 0 {
		q.Tests.AllMs = 60_000
	}
	if q.FindingsMax <= 0 {
		q.FindingsMax = 100
	}
	slices.Sort(q.Capabilities.Allow)
	// The order in which OPA loads files.
	slices.SortFunc(q.Modules, func(a, b moduleFile) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(q.Documents, func(a, b documentFile) int { return strings.Compare(a.Path, b.Path) })
	return q, nil
}
