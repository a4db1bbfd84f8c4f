package check

import (
	"cmp"
	"errors"
	"slices"

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
	if len(f.all) > f.max {
		f.all = append(f.all[:f.max:f.max], Finding{Code: ast.CompileErr, Message: "error limit reached",
			Warning: !f.errors})
	}
	if f.all == nil {
		return []Finding{}
	}
	return f.all
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
