package snapshot

import (
	"encoding/json"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
)

var txnPackage = ast.MustParseRef("data.system.notp.txn")

// txnRulesOf returns what the agent's module system.notp.txn says of itself; nil: it is not among the modules,
// or verifies nothing. A module of a model, which may not call what that one calls, says nothing.
func (s *snapshot) txnRulesOf(modules map[string]*ast.Module) *builtin.TxnRules {
	for key, module := range modules {
		if !module.Package.Path.Equal(txnPackage) || !slices.Contains(s.allow(s.modules[key]), "notp.txn.recall") {
			continue
		}
		for _, rule := range module.Rules {
			if rule.Head.Name == "_rules" && rule.Head.Value != nil {
				return readTxnRules(rule.Head.Value.Value)
			}
		}
	}
	return nil
}

func readTxnRules(value ast.Value) *builtin.TxnRules {
	plain, err := ast.JSON(value)
	if err != nil {
		return nil
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return nil
	}
	var rules builtin.TxnRules
	if json.Unmarshal(text, &rules) != nil || rules.Keys == "" || rules.Audience == "" {
		return nil
	}
	return &rules
}
