package check

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"

	"notp.core-platform.internal/notp-pdp/internal/unit"
)

// leastVersion is what every engine is expected to have.
const leastVersion = "v1.0.0"

// least has the names of the built-ins and features of that version.
var least = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{}
	capabilities, err := ast.LoadCapabilitiesVersion(leastVersion)
	if err != nil {
		panic(err) // it is embedded in OPA
	}
	for _, builtin := range capabilities.Builtins {
		names[builtin.Name] = true
	}
	for _, feature := range capabilities.Features {
		names[feature] = true
	}
	return names
})

// addNeeds collects what the model needs beyond the least, and what an engine has only where it is
// allowed. The built-ins that a compiler puts in by
// itself go with a feature.
func (c *checker) addNeeds() {
	builtins, features := map[string]bool{}, map[string]bool{}
	for _, state := range c.modules {
		if state.facts == nil || state.file.IsTest || state.file.IsUsed {
			continue
		}
		for _, name := range state.facts.Builtins {
			if (!least()[name] || slices.Contains(unit.Restricted, name)) && !strings.HasPrefix(name, "internal.") {
				builtins[name] = true
			}
		}
		for _, name := range state.facts.Features {
			if !least()[name] {
				features[name] = true
			}
		}
		c.report.Needs.RegoV0 = c.report.Needs.RegoV0 || state.facts.RegoV0
	}
	c.report.Needs.Builtins = sortedKeys(builtins)
	c.report.Needs.Features = sortedKeys(features)
}

func sortedKeys(set map[string]bool) []string {
	keys := slices.AppendSeq(make([]string, 0, len(set)), maps.Keys(set))
	slices.Sort(keys)
	return keys
}
