package snapshot

import (
	"encoding/json"

	"github.com/open-policy-agent/opa/v1/ast"

	"notp.core-platform.internal/notp-pdp/internal/unit"
)

// Failure is why a request failed.
type Failure struct {
	Code    string
	Message string
}

func (f *Failure) Error() string { return f.Code + ": " + f.Message }

// Finding is one thing that is wrong with a release.
type Finding struct {
	Path    string `json:"path"`
	Row     int    `json:"row"`
	Col     int    `json:"col"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Warning bool   `json:"warning"`
}

const findingsMax = 100

func rejected(findings []Finding) *Failure {
	text, err := json.Marshal(findings[:min(len(findings), findingsMax)])
	if err != nil {
		return &Failure{Code: "rejected", Message: "[]"}
	}
	return &Failure{Code: "rejected", Message: string(text)}
}

// findingsOf turns errors of OPA into findings; `key` names the file of one that has no place.
func findingsOf(key string, err error) []Finding {
	list := errorsOf(err)
	if list == nil {
		return []Finding{{Path: key, Code: ast.ParseErr, Message: err.Error()}}
	}
	var findings []Finding
	for _, each := range list {
		finding := Finding{Path: key, Code: each.Code, Message: each.Message + unit.Hint(each)}
		if each.Location != nil {
			finding.Path, finding.Row, finding.Col = each.Location.File, each.Location.Row, each.Location.Col
		}
		findings = append(findings, finding)
	}
	return findings
}
