package main

import "encoding/json"

// Module is one policy file.
type Module struct {
	Key         string `json:"key"`
	Text        string `json:"text"`
	RegoVersion int    `json:"rego_version"`
}

// Document is base data.
type Document struct {
	Key   string          `json:"key"`
	Mount []string        `json:"mount"`
	Value json.RawMessage `json:"value"`
}

// Answer is what a path is with an input: defined (Value), undefined (neither) or an error (OPA's code).
type Answer struct {
	Value   json.RawMessage `json:"value,omitempty"`
	Code    string          `json:"code,omitempty"`
	Message string          `json:"message,omitempty"`
}

// Stage is the answers of one state of a program: for each path, in the order of Program.Paths, one for
// each input.
type Stage struct {
	Name    string     `json:"name"` // cold, patched, changed
	Answers [][]Answer `json:"answers"`
}

// Patch replaces parts of one document; Value is the document that results.
type Patch struct {
	Key     string            `json:"key"`
	Changes []json.RawMessage `json:"changes"` // [["segment", …], value]
	Value   json.RawMessage   `json:"value"`
}

// TestResult is of a test rule or of one case of it, as `opa test` has it.
type TestResult struct {
	Path    string   `json:"path"`
	Package string   `json:"package"`
	Name    string   `json:"name"`
	Trail   []string `json:"trail,omitempty"`
	Outcome string   `json:"outcome"` // pass, fail, error, skip
}

// Program is one line of the output. A consumer asks all paths with all inputs: cold; after the patch;
// after the change of one module, with the patch in force; and once more after whatever else should not
// matter.
type Program struct {
	Seed      int64             `json:"seed"`
	Modules   []Module          `json:"modules"`
	Documents []Document        `json:"documents"`
	Paths     [][]string        `json:"paths"`
	Inputs    []json.RawMessage `json:"inputs"`
	TimeNs    int64             `json:"time_ns"` // the clock of all evaluations
	Patch     Patch             `json:"patch"`
	Change    Module            `json:"change"`
	Stages    []Stage           `json:"stages"`
	Tests     []TestResult      `json:"tests"`  // with the first state
	Strict    []string          `json:"strict"` // findings of strict mode: "key:row code: message", its first line
	Broken    []Broken          `json:"broken"`
}
