package serve

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"notp.core-platform.internal/notp-pdp/internal/frame"
	"notp.core-platform.internal/notp-pdp/internal/snapshot"
)

// largeModel is 2,000 policies of 20 teams with libraries that all of them use.
type largeModel struct {
	state
	texts map[string]string
}

func policyText(team, i, variant int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "# METADATA\n# title: policy %d\npackage authz.team%d.p%d\n\nimport data.shared.roles\n\nimport data.tenants.team%d.config\n\nimport data.lib.common\n\ndefault allow := false\n\n", i, team, i, team)
	for rule := range 7 {
		fmt.Fprintf(&text, "allow if {\n\tinput.action == \"verb%d\"\n\tsome role in input.subject.roles\n\trole in roles.r%d\n\tcommon.same(input.subject.a%d, input.resource.a%d)\n\tnot input.subject.suspended\n\tinput.context.risk < %d\n}\n\n", rule, rule, rule, rule, variant+rule)
	}
	fmt.Fprintf(&text, "deny contains msg if {\n\tinput.resource.owner == config.blocked[_]\n\tmsg := sprintf(\"%%s blocked for %%s\", [input.resource.id, input.subject.id])\n}\n\nobligations := {\"log\": \"full\", \"ttl\": %d}\n", i)
	return text.String()
}

func newLargeModel(c *client) *largeModel {
	return newModel(c, func(i int) string { return policyText(i%20, i, 10) })
}

// newModel has 2,000 policies of 20 teams.
func newModel(c *client, text func(i int) string) *largeModel {
	m := &largeModel{state: state{number: 1, modules: map[string][32]byte{}, documents: map[string][32]byte{}}}
	next := uint64(1)
	add := func(key, text string) {
		c.stageModule(number(next), text)
		m.modules[key] = number(next)
		next++
	}
	add("lib.rego", "package lib.common\n\nsame(a, b) if a == b\n")
	for i := range 2000 {
		add(fmt.Sprintf("authz/team%d/p%d.rego", i%20, i), text(i))
	}
	c.stageDocument(number(100_000), `{"roles": {"r0": ["clerk"], "r1": ["auditor"]}}`)
	m.documents["shared"] = number(100_000)
	return m
}

func changed(c *client, key, text string, from uint64) state {
	c.stageModule(number(200_000+from), text)
	return state{number: from + 1, base: from, modules: map[string][32]byte{key: number(200_000 + from)}}
}

// BenchmarkOneRuleOf2000 is the time from a changed file to the first answer of its unit.
func BenchmarkOneRuleOf2000(b *testing.B) {
	c := connect(b, Options{})
	m := newLargeModel(c)
	if r := c.activate(m.state); r.code != "" {
		b.Fatal(r.code, r.message)
	}
	b.ResetTimer()
	for i := range b.N {
		if r := c.activate(changed(c, "authz/team3/p3.rego", policyText(3, 3, i), uint64(i+1))); r.code != "" {
			b.Fatal(r.code, r.message)
		}
		if got := c.eval([]string{"authz", "team3", "p3", "allow"}, `{"action": "none"}`); got != "false" {
			b.Fatal(got)
		}
	}
}

// BenchmarkLibraryOf2000 changes what all units use.
func BenchmarkLibraryOf2000(b *testing.B) {
	c := connect(b, Options{})
	m := newLargeModel(c)
	if r := c.activate(m.state); r.code != "" {
		b.Fatal(r.code, r.message)
	}
	b.ResetTimer()
	for i := range b.N {
		r := c.activate(changed(c, "lib.rego", fmt.Sprintf("package lib.common\n\nsame(a, b) if a == b\n\nversion := %d\n", i), uint64(i+1)))
		if r.code != "" {
			b.Fatal(r.code, r.message)
		}
	}
}

// BenchmarkStandingOf2000 changes data.system.notp.
func BenchmarkStandingOf2000(b *testing.B) {
	c := connect(b, Options{})
	m := newLargeModel(c)
	if r := c.activate(m.state); r.code != "" {
		b.Fatal(r.code, r.message)
	}
	b.ResetTimer()
	for i := range b.N {
		if r := c.activate(state{number: uint64(i + 2), base: uint64(i + 1), system: fmt.Sprintf(`{"n": %d}`, i)}); r.code != "" {
			b.Fatal(r.code, r.message)
		}
	}
}

// BenchmarkRecordOf20MB patches one record and activates.
func BenchmarkRecordOf20MB(b *testing.B) {
	c := connect(b, Options{})
	var text strings.Builder
	text.WriteString(`{"records": {`)
	for i := 0; text.Len() < 20<<20; i++ {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `"id-%d": {"owner": "anna", "roles": ["clerk", "auditor"], "limit": %d, "active": true}`, i, i)
	}
	text.WriteString("}}")
	c.stageDocument(number(1), text.String())
	began := time.Now()
	if r := c.activate(state{number: 1, documents: map[string][32]byte{"d": number(1)}}); r.code != "" {
		b.Fatal(r.code, r.message)
	}
	b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-whole")
	b.ResetTimer()
	for i := range b.N {
		from, to := uint64(i+1), uint64(i+2)
		c.send(frame.OpStage, func(e *frame.Encoder) {
			e.U8(frame.StagePatch)
			e.Hash(number(to))
			e.Hash(number(from))
			e.Str(fmt.Sprintf(`[[["records","id-77","limit"],%d]]`, -i))
		})
		if r := c.activate(state{number: to, base: from, documents: map[string][32]byte{"d": number(to)}}); r.code != "" {
			b.Fatal(r.code, r.message)
		}
		if got := c.eval([]string{"d", "records", "id-77", "limit"}, ""); got != fmt.Sprint(-i) {
			b.Fatal(got)
		}
	}
}

// BenchmarkFirstOf2000 activates from nothing, and says what stays in memory; then one that another
// worker has accepted, as when a worker takes over.
func BenchmarkFirstOf2000(b *testing.B) {
	for _, isAccepted := range []bool{false, true} {
		b.Run(fmt.Sprintf("accepted=%v", isAccepted), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				c := connect(b, Options{})
				m := newLargeModel(c)
				m.isAccepted = isAccepted
				b.StartTimer()
				if r := c.activate(m.state); r.code != "" {
					b.Fatal(r.code, r.message)
				}
				b.StopTimer()
				b.ReportMetric(resident(), "MiB-after")
				for i := range 100 {
					c.eval([]string{"authz", fmt.Sprintf("team%d", i%20), fmt.Sprintf("p%d", i), "allow"}, "{}")
				}
				b.ReportMetric(resident(), "MiB-100-asked")
			}
		})
	}
}

// BenchmarkAllOf2000 asks every policy in turn, twice: what is compiled for the first question is
// there for the second one, and takes memory.
func BenchmarkAllOf2000(b *testing.B) {
	kinds := map[string]func(i int) string{
		"small": func(i int) string {
			return fmt.Sprintf("package authz.team%d.p%d\n\nallow if input.n == %d\n", i%20, i, i)
		},
		"large": func(i int) string { return policyText(i%20, i, 10) },
	}
	for kind, text := range kinds {
		b.Run(kind, func(b *testing.B) {
			for range b.N {
				c := connect(b, Options{Snapshot: snapshot.Options{ResultMax: 64 << 20, UnitBytesMax: 3 << 19, Threads: 2}})
				m := newModel(c, text)
				if r := c.activate(m.state); r.code != "" {
					b.Fatal(r.code, r.message)
				}
				b.ReportMetric(resident(), "MiB-first")
				for round := range 2 {
					began := time.Now()
					for i := range 2000 {
						c.eval([]string{"authz", fmt.Sprintf("team%d", i%20), fmt.Sprintf("p%d", i), "allow"}, "{}")
					}
					b.ReportMetric(float64(time.Since(began).Microseconds())/2000, fmt.Sprintf("µs-round%d", round+1))
				}
				b.ReportMetric(resident(), "MiB-asked")
			}
		})
	}
}

// resident is the memory that this process takes from the system: MiB, after a collection.
func resident() float64 {
	debug.FreeOSMemory()
	text, _ := os.ReadFile("/proc/self/statm")
	var pages, held, shared int
	if _, err := fmt.Sscan(string(text), &pages, &held, &shared); err != nil {
		return 0
	}
	return float64((held-shared)*os.Getpagesize()) / (1 << 20)
}
