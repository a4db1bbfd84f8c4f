package serve

import (
	"sync/atomic"
	"testing"

	"notp.core-platform.internal/notp-pdp/internal/frame"
)

const benchPolicy = `package app

import data.roles

default allow := false

allow if {
	input.action in {"read", "list"}
	some role in input.subject.roles
	role in roles.readers
	not input.subject.suspended
	input.context.risk < 50
}
`

const benchInput = `{"action": "read", "subject": {"id": "anna", "roles": ["guest", "clerk"], "suspended": false},
	"resource": {"type": "invoice", "id": "i-1", "owner": "bob"}, "context": {"risk": 12, "ip": "10.0.0.1"}}`

func benchClient(b *testing.B) *client {
	c := connect(b, Options{})
	c.stageModule(number(1), benchPolicy)
	c.stageDocument(number(2), `{"readers": ["clerk", "auditor"]}`)
	r := c.activate(state{number: 1, modules: map[string][32]byte{"app.rego": number(1)}, documents: map[string][32]byte{"roles": number(2)}})
	if r.code != "" {
		b.Fatal(r.message)
	}
	if got := c.eval([]string{"app", "allow"}, benchInput); got != "true" {
		b.Fatal(got)
	}
	b.ResetTimer()
	return c
}

// BenchmarkDecision is one decision at a time over the socket.
func BenchmarkDecision(b *testing.B) {
	c := benchClient(b)
	spent := uint64(0)
	for range b.N {
		r := c.call(frame.OpEval, evalRequest([]string{"app", "allow"}, benchInput))
		r.U64()
		r.U8()
		r.U8()
		r.Str()
		r.I64()
		spent += r.U64()
	}
	b.ReportMetric(float64(spent)/float64(b.N), "ns-evaluation/op")
}

// BenchmarkDecisionsInFlight has 64 questions under way.
func BenchmarkDecisionsInFlight(b *testing.B) {
	c := benchClient(b)
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan bool)
	for range 64 {
		go func() {
			for left.Add(-1) >= 0 {
				c.eval([]string{"app", "allow"}, benchInput)
			}
			done <- true
		}()
	}
	for range 64 {
		<-done
	}
}
