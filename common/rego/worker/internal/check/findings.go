package check

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"notp.core-platform.internal/notp-pdp/internal/unit"
)

// dataError is the code of what is wrong with a document. OPA's loader gives none.
const dataError = "data_error"

// findings collects each once.
type findings struct {
	all    []Finding
	seen   map[Finding]bool
	max    int
	errors bool // not only warnings
}

func (f *findings) add(each Finding) {
	if f.seen[each] {
		return
	}
	f.seen[each] = true
	f.all = append(f.all, each)
	f.errors = f.errors || !each.Warning
}

// sorted returns errors before warnings, each by place, and of what is too much a note.
func (f *findings) sorted() []Finding {
	slices.SortFunc(f.all, func(a, b Finding) int {
		if a.Warning != b.Warning {
			if b.Warning {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Row, b.Row), cmp.Compare(a.Col, b.Col),
			cmp.Compare(a.Message, b.Message))
	})
	f.all = slices.DeleteFunc(f.all, f.isSaidBetter())
	if len(f.all) > f.max {
		f.all = append(f.all[:f.max:f.max], Finding{Code: ast.CompileErr, Message: "error limit reached",
			Warning: !f.errors})
	}
	if f.all == nil {
		return []Finding{}
	}
	return f.all
}

// isSaidBetter finds parse errors that another one at the same place goes on from: the parser gives up
// in several steps.
func (f *findings) isSaidBetter() func(Finding) bool {
	longer := map[Finding][]string{}
	at := func(each Finding) Finding { each.Message = ""; return each }
	for _, each := range f.all {
		if each.Code == ast.ParseErr {
			longer[at(each)] = append(longer[at(each)], firstLine(each.Message))
		}
	}
	return func(each Finding) bool {
		if each.Code != ast.ParseErr {
			return false
		}
		return slices.ContainsFunc(longer[at(each)], func(other string) bool {
			return strings.HasPrefix(other, firstLine(each.Message)+":")
		})
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// findingsOf turns what OPA's parser and compiler return into findings.
func findingsOf(err error) []Finding {
	if err == nil {
		return nil
	}
	var several ast.Errors
	var one *ast.Error
	switch {
	case errors.As(err, &several):
	case errors.As(err, &one):
		several = ast.Errors{one}
	default:
		return []Finding{{Code: ast.CompileErr, Message: err.Error()}}
	}
	all := make([]Finding, 0, len(several))
	for _, each := range several {
		finding := Finding{Code: each.Code, Message: messageOf(each)}
		if each.Location != nil {
			finding.Path, finding.Row, finding.Col = each.Location.File, each.Location.Row, each.Location.Col
		}
		all = append(all, finding)
	}
	return all
}

// messageOf adds the lines that OPA prints below a message: the text of the place, the types.
func messageOf(each *ast.Error) string {
	message := each.Message + unit.Hint(each)
	if each.Details != nil {
		for _, line := range each.Details.Lines() {
			message += "\n" + line
		}
	}
	return message
}
