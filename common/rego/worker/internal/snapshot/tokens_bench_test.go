package snapshot

import (
	"testing"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/tokens"
)

// BenchmarkLookup compares a decision that looks a token up with the same one that does not.
func BenchmarkLookup(b *testing.B) {
	w, holder := laneWorld(&testing.T{})
	w.activate(release{modules: map[string]string{
		"helper.rego": "package system.notp.tokens\n\nlookup(token) := notp.tokens.lookup(token)\n",
		"looks.rego":  "package looks\n\nallow if data.system.notp.tokens.lookup(input.token).sub == input.sub\n",
		"calls.rego":  "package calls\n\nallow if notp.tokens.lookup(input.token).sub == input.sub\n",
		"plain.rego":  "package plain\n\nallow if {\"iss\": input.token, \"sub\": \"alice\"}.sub == input.sub\n",
	}})
	for _, name := range []string{"plain", "calls", "looks"} {
		b.Run(name, func(b *testing.B) {
			question := ask(name+"/allow", `{"token": "opaque", "sub": "alice"}`, 0)
			b.ReportAllocs()
			for range b.N {
				meter := &builtin.Meter{Tokens: tokens.NewUse(holder)}
				if outcome := w.engine.Evaluate(question, meter).Outcomes[0]; string(outcome.Value) != "true" {
					b.Fatal(outcome)
				}
				meter.Tokens.End()
			}
		})
	}
}
