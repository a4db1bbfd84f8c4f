package check

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Failures are looked at by running the test again with a trace, which is slow: only of tests that are
// quick, and so many.
const (
	tracedMax     = 100
	tracedTimeMax = 500 * time.Millisecond // that the test took
	failureMax    = 4 << 10                // bytes of text
)

// failureTracer keeps the last expression that failed, in all and of each case. A whole trace would be
// as large as the test is long.
type failureTracer struct {
	last  *topdown.Event
	cases map[string]*topdown.Event
	at    string // the case under way
	begun bool
}

func (*failureTracer) Enabled() bool { return true }

func (*failureTracer) Config() topdown.TraceConfig { return topdown.TraceConfig{PlugLocalVars: true} }

func (t *failureTracer) TraceEvent(e topdown.Event) {
	switch e.Op {
	case topdown.TestCaseOp:
		t.at, t.begun = caseKey(caseTrail(&e)), true
	case topdown.FailOp:
		expr, isExpr := e.Node.(*ast.Expr)
		if !isExpr || e.Location == nil || e.QueryID == 0 || expr.IsEvery() {
			return // what failed in the body of `every` says more
		}
		t.last = &e
		if t.begun {
			t.cases[t.at] = &e
		}
	}
}

// caseTrail returns the names of a case, as the runner makes them.
func caseTrail(e *topdown.Event) []string {
	expr, ok := e.Node.(*ast.Expr)
	if !ok || len(expr.Operands()) == 0 {
		return nil
	}
	names, ok := expr.Operand(0).Value.(*ast.Array)
	if !ok {
		return nil
	}
	var trail []string
	names.Foreach(func(term *ast.Term) {
		if e.Locals != nil {
			if value := e.Locals.Get(term.Value); value != nil {
				term = ast.NewTerm(value)
			}
		}
		if text, ok := term.Value.(ast.String); ok {
			trail = append(trail, string(text))
		} else {
			trail = append(trail, term.String())
		}
	})
	return trail
}

func caseKey(trail []string) string { return strings.Join(trail, "\x00") }

// explain says where a test failed, and with which values.
func (r *testRun) explain(ctx context.Context, runner *tester.Runner, txn storage.Transaction, test *testRule,
	step Step, results []TestResult) {
	if r.traced.Add(1) > tracedMax {
		return
	}
	trace := &failureTracer{cases: map[string]*topdown.Event{}}
	runner.SetCoverageQueryTracer(trace)
	limit := milliseconds(r.c.q.Tests.OneMs)
	r.clock.beside(ctx, limit, func(ctx context.Context) {
		r.running(step, func() { _, _ = collect(ctx, runner.SetPrefixMatchers(test.ref), txn) })
	})
	runner.EnableTracing(true).EnableTracing(false) // takes the tracer away
	for i := range results {
		each := &results[i]
		if each.Outcome != Fail {
			continue
		}
		at := trace.last
		if len(each.Trail) > 0 {
			at = trace.cases[caseKey(each.Trail)]
		}
		each.Message = failureText(at)
	}
}

func failureText(at *topdown.Event) string {
	if at == nil {
		return "fail: it is not true"
	}
	var pretty bytes.Buffer
	if err := topdown.PrettyEvent(&pretty, at, topdown.PrettyEventOpts{PrettyVars: true}); err != nil {
		return ""
	}
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(pretty.String(), "\n"), "\n") {
		if line = strings.TrimRight(line, " \t"); line != "" {
			lines = append(lines, line)
		}
	}
	text := fmt.Sprintf("fail at %s:%d\n%s", at.Location.File, at.Location.Row, strings.Join(lines, "\n"))
	if len(text) > failureMax {
		text = strings.ToValidUTF8(text[:failureMax], "") + " …"
	}
	return text
}

func hasFailed(results []TestResult) bool {
	return slices.ContainsFunc(results, func(each TestResult) bool { return each.Outcome == Fail })
}
