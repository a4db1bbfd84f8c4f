package snapshot

import (
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/frame"
)

// Depends reports as the value of its outcome whether the result of a replay may depend on hidden values
// of the input. It is evaluated with these values unknown: what is left of it is one value, or it may. It
// never panics.
func (e *Engine) Depends(request frame.Replay, meter *builtin.Meter) (decision Decision) {
	watch := startStopwatch()
	defer func() {
		if problem := recover(); problem != nil {
			decision.Failure = panicked(problem)
		}
	}()
	decision.Time = request.Time
	active := e.active.Load()
	if active == nil {
		decision.Failure = &Failure{"no_snapshot", "nothing is active"}
		return decision
	}
	decision.Snapshot = active.number
	ask, failure := e.prepare(active, request.Path, metrics.NoOp(), meter)
	if failure != nil {
		decision.Failure = failure
		return decision
	}
	run := evaluation{engine: e, active: active, ask: ask, request: &request.Eval, meter: meter, time: time.Unix(0, request.Time)}
	input, err := run.input(request.Inputs[0], metrics.NoOp())
	if err != nil {
		decision.Failure = &Failure{"input", err.Error()}
		return decision
	}
	left, support, err := run.query(ask, input).
		WithMetrics(metrics.NoOp()).
		WithStrictBuiltinErrors(request.Flags&frame.FlagStrict != 0).
		WithNondeterministicBuiltins(true). // they give what was recorded
		WithUnknowns(hiddenTerms(request.Hidden)).
		PartialRun(meter)
	if topdown.IsCancel(err) || meter.Cancelled() {
		decision.Failure = cancelledFailure()
		return decision
	}
	value := []byte("true")
	if err == nil && len(support) == 0 && isFixed(left) {
		value = []byte("false")
	}
	decision.Outcomes = []Outcome{{Defined: true, Value: value, Input: input != nil}}
	decision.Spent = watch.spent()
	return decision
}

func hiddenTerms(paths [][]string) []*ast.Term {
	terms := make([]*ast.Term, len(paths))
	for i, path := range paths {
		ref := ast.Ref{ast.InputRootDocument}
		for _, name := range path {
			ref = append(ref, ast.StringTerm(name))
		}
		terms[i] = ast.NewTerm(ref)
	}
	return terms
}

// isFixed reports whether a query without unknowns is left: of nothing, or of one value.
func isFixed(left []ast.Body) bool {
	if len(left) == 0 {
		return true
	}
	if len(left) > 1 || len(left[0]) != 1 {
		return false
	}
	expression := left[0][0]
	if !expression.IsEquality() || expression.Negated || len(expression.With) > 0 {
		return false
	}
	variables := 0
	for _, operand := range expression.Operands() {
		if _, ok := operand.Value.(ast.Var); ok {
			variables++
		} else if !ast.IsConstant(operand.Value) {
			return false
		}
	}
	return variables == 1
}
