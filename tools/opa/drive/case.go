package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

// suiteCase is a line of the command cases.
type suiteCase struct {
	Note, Suite string
	Modules     []struct {
		Text        string
		RegoVersion int `json:"rego_version"`
	}
	Path          []string
	Binding       string
	Data          json.RawMessage
	Input         json.RawMessage
	WantResult    *[]map[string]any `json:"want_result"`
	SortBindings  bool              `json:"sort_bindings"`
	WantErrorCode *string           `json:"want_error_code"`
	WantError     *string           `json:"want_error"`
	StrictError   bool              `json:"strict_error"`
	Allow         []string
	DataConflict  bool `json:"data_conflict"`
	Inapplicable  string
}

const strictBuiltinErrors = 1

func driveCase(w *worker, r *report, raw []byte) error {
	var c suiteCase
	if err := util.UnmarshalJSON(raw, &c); err != nil {
		return err
	}
	name := c.Suite + "/" + c.Note
	if c.Inapplicable != "" {
		r.count("cases that cannot be asked")
		return nil
	}
	if err := activateCase(w, &c); err != nil {
		failed := asFailure(err)
		switch {
		case failed == nil:
			return fmt.Errorf("%s: %w", name, err)
		case c.DataConflict:
			r.count("cases refused as they should")
		default:
			r.differs("case", "%s: refused: %v", name, err)
		}
		return nil
	}
	if c.DataConflict {
		r.differs("case", "%s: a rule over base data was taken", name)
		return nil
	}
	flags := 0
	if c.StrictError {
		flags = strictBuiltinErrors
	}
	value, defined, err := w.evaluate(c.Path, c.Input, 0, flags)
	if failed := asFailure(err); err != nil && failed == nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if problem := c.judge(value, defined, asFailure(err)); problem != "" {
		r.differs("case", "%s: %s", name, problem)
	} else {
		r.count("cases as OPA has them")
	}
	return nil
}

func activateCase(w *worker, c *suiteCase) error {
	var modules []activeModule
	for i, m := range c.Modules {
		h, err := w.stageModule(m.Text)
		if err != nil {
			return err
		}
		modules = append(modules, activeModule{key: fmt.Sprintf("test-%d.rego", i), hash: h, version: m.RegoVersion})
	}
	var documents []activeDocument
	if len(c.Data) > 0 {
		h, err := w.stageDocument(c.Data)
		if err != nil {
			return err
		}
		documents = append(documents, activeDocument{key: "data.json", hash: h})
	}
	capabilities := ""
	if len(c.Allow) > 0 {
		text, _ := json.Marshal(map[string]any{"allow": c.Allow})
		capabilities = string(text)
	}
	return w.activate(true, modules, documents, capabilities)
}

// judge says what is wrong; empty: nothing.
func (c *suiteCase) judge(value string, defined bool, failed *failure) string {
	if c.WantErrorCode != nil || c.WantError != nil {
		switch {
		case failed == nil:
			return "no error: " + value
		case c.WantErrorCode != nil && !strings.Contains(failed.message, *c.WantErrorCode):
			return fmt.Sprintf("%v, want %s", failed, *c.WantErrorCode)
		case c.WantError != nil && !strings.Contains(failed.message, *c.WantError):
			return fmt.Sprintf("%v, want %s", failed, *c.WantError)
		}
		return ""
	}
	if failed != nil {
		return failed.Error()
	}
	var rows []map[string]any
	if defined {
		var decoded any
		if err := util.UnmarshalJSON([]byte(value), &decoded); err != nil {
			return err.Error() + ": " + value
		}
		if c.Binding != "" {
			rows = append(rows, map[string]any{c.Binding: decoded})
		} else {
			for _, row := range decoded.([]any) {
				rows = append(rows, row.(map[string]any))
			}
		}
	}
	if got, want := c.set(rows), c.set(*c.WantResult); got.Compare(want) != 0 {
		return fmt.Sprintf("%v, want %v", got, want)
	}
	return ""
}

func (c *suiteCase) set(all []map[string]any) ast.Set {
	result := ast.NewSet()
	for _, row := range all {
		object := ast.NewObject()
		for name, value := range row {
			if list, ok := value.([]any); ok && c.SortBindings {
				value = slices.Clone(list)
				slices.SortFunc(value.([]any), util.Compare)
			}
			object.Insert(ast.StringTerm(name), ast.NewTerm(ast.MustInterfaceToValue(value)))
		}
		result.Add(ast.NewTerm(object))
	}
	return result
}
