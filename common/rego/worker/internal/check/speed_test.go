package check

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"
)

// manyModules is a model of n modules with tests: libraries, and packages that use some of them.
func manyModules(n int) *model {
	m := &model{files: map[string]string{}}
	for i := range n / 2 {
		name := fmt.Sprintf("p%04d", i)
		m.files["org/"+name+"/policy.rego"] = fmt.Sprintf(`package org.%s

import data.org.conf
import data.org.p%04d as other

default allow := false

allow if {
	input.user.role in conf.%s.roles
	not denied
}

denied if input.user.blocked

violations contains message if {
	some item in input.items
	item.price > limit
	message := sprintf("%%s is too dear", [item.name])
}

default limit := %d

limit := conf.%s.limit

inherited(x) := other.limit + x
`, name, i-i%10, name, i, name)
		m.files["org/"+name+"/policy_test.rego"] = fmt.Sprintf(`package org.%s_test

import data.org.%s

test_allow if %s.allow with input as {"user": {"role": "a"}} with data.org.conf.%s as {"roles": ["a"]}

test_stranger if not %s.allow with input as {"user": {"role": "b"}}

test_limit if %s.limit == %d
`, name, name, name, name, name, name, i)
		if i%10 == 0 {
			m.files["org/"+name+"/policy.rego"] = fmt.Sprintf("package org.%s\n\nlimit := %d\n\nallow if input.user.role == \"a\"\n", name, i)
		}
	}
	return m
}

// BenchmarkOneChanged is a request for 2,000 modules of which one was changed.
func BenchmarkOneChanged(b *testing.B) {
	m := manyModules(2_000)
	content := staged{}
	for _, text := range m.files {
		content[sha256.Sum256([]byte(text))] = text
	}
	report := check(b, content, m.request())
	if len(report.Findings) > 0 {
		b.Fatal(report.Findings[0])
	}
	m.again(report)
	m.files["org/p0007/policy.rego"] += "\nmore := 1\n"
	content = staged{}
	raw := m.request()
	for _, hash := range check(b, content, raw).Want {
		for _, text := range m.files {
			if digest := sha256.Sum256([]byte(text)); fmt.Sprintf("%x", digest) == hash {
				content[digest] = text
			}
		}
	}
	for _, hash := range check(b, content, raw).Want {
		for _, text := range m.files {
			if digest := sha256.Sum256([]byte(text)); fmt.Sprintf("%x", digest) == hash {
				content[digest] = text
			}
		}
	}
	b.ReportMetric(float64(len(raw)), "request-bytes")
	defer reportTime(b)()
	for b.Loop() {
		if report := check(b, content, raw); len(report.Tests) != 3 || report.TestsKnown != 2_997 {
			b.Fatalf("%d tests ran, %d are known, wants %d", len(report.Tests), report.TestsKnown, len(report.Want))
		}
	}
}

// BenchmarkCold is a request for 2,000 modules of which nothing is known.
func BenchmarkCold(b *testing.B) {
	m := manyModules(2_000)
	content := staged{}
	for _, text := range m.files {
		content[sha256.Sum256([]byte(text))] = text
	}
	raw := m.request()
	defer reportTime(b)()
	for b.Loop() {
		check(b, content, raw)
	}
}

// reportTime reports what the process took of its processors, which other load does not change much.
func reportTime(b *testing.B) func() {
	before := processorTime()
	return func() {
		b.ReportMetric(float64((processorTime()-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
	}
}

func check(b *testing.B, content Content, raw []byte) *Report {
	answer, err := Check(context.Background(), content, raw, func(Step) {})
	if err != nil {
		b.Fatal(err)
	}
	report := &Report{}
	if err := json.Unmarshal(answer, report); err != nil {
		b.Fatal(err)
	}
	return report
}

// BenchmarkSharedLibraryChanged is a request for 2,000 modules after a change of one that all use.
func BenchmarkSharedLibraryChanged(b *testing.B) {
	m := manyModules(2_000)
	for path, text := range m.files {
		m.files[path] = text + "\nshared := data.org.library.f(input.x)\n"
	}
	m.files["org/library/policy.rego"] = "package org.library\n\nf(x) := x\n"
	content := staged{}
	stage := func() {
		for _, text := range m.files {
			content[sha256.Sum256([]byte(text))] = text
		}
	}
	stage()
	m.again(check(b, content, m.request()))
	m.files["org/library/policy.rego"] = "package org.library\n\nf(x) := x + 1\n"
	stage()
	raw := m.request()
	defer reportTime(b)()
	for b.Loop() {
		if report := check(b, content, raw); len(report.Findings) > 0 || len(report.Tests) != 3_000 {
			b.Fatalf("%d findings, %d tests", len(report.Findings), len(report.Tests))
		}
	}
}
