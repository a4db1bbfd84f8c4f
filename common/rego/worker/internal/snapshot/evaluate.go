package snapshot

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/cache"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/frame"
)

const (
	cachedValuesMax  = 4096
	cachedAnswersMax = 16 << 20 // bytes
)

func newCaches() (cache.InterQueryValueCache, cache.InterQueryCache) {
	values, bytes := cachedValuesMax, int64(cachedAnswersMax)
	var config cache.Config
	config.InterQueryBuiltinValueCache.MaxNumEntries = &values
	config.InterQueryBuiltinCache.MaxSizeBytes = &bytes
	return cache.NewInterQueryValueCache(context.Background(), &config), cache.NewInterQueryCache(&config)
}

// Outcome is the result of one evaluation.
type Outcome struct {
	Defined bool
	Value   []byte // JSON
	Extras  []byte // a JSON object, also of a failure; nil: none
	Input   bool   // there was one
	Failure *Failure
	Details []byte // of a failure: a JSON array of OPA's errors; nil: none
}

// Decision is what an eval or a batch gives: all of it from one snapshot, with one reading of the clock.
type Decision struct {
	Snapshot uint64
	Time     int64         // ns since 1970
	Spent    time.Duration // as stopwatch tells
	Ruled    bool          // a rule is at the path, or above it
	Outcomes []Outcome
	Failure  *Failure // nothing could be evaluated
	Extras   []byte   // of Failure: a JSON object; nil: none
}

// Evaluate evaluates a path for each of the inputs. The meter cancels it. It never panics.
func (e *Engine) Evaluate(request frame.Eval, meter *builtin.Meter) (decision Decision) {
	watch := startStopwatch()
	var active *snapshot
	defer func() {
		if problem := recover(); problem != nil {
			decision.Failure = panicked(problem)
		}
		if decision.Failure != nil {
			decision.Extras = active.unasked(request.Flags)
		}
	}()
	decision.Time = request.Time
	if decision.Time == 0 {
		decision.Time = watch.began.UnixNano()
	}
	active = e.active.Load()
	if active == nil {
		decision.Failure = &Failure{"no_snapshot", "nothing is active"}
		return decision
	}
	decision.Snapshot = active.number
	first := newMetrics(request.Flags)
	ask, failure := e.prepare(active, request.Path, first, meter)
	if failure != nil && len(request.Inputs) != 1 {
		decision.Failure = failure
		return decision
	}
	decision.Ruled = failure == nil && ask.ruled
	run := evaluation{engine: e, active: active, ask: ask, refused: failure, request: &request, metrics: first, meter: meter}
	run.time = time.Unix(0, decision.Time)
	if len(request.Inputs) > 1 {
		for i := range run.seed {
			run.seed[i] = byte(rand.Uint32())
		}
		run.seeded = true
	}
	for _, input := range request.Inputs {
		decision.Outcomes = append(decision.Outcomes, run.one(input))
	}
	decision.Spent = watch.spent()
	return decision
}

// question is a compiled query with the compiler of its unit.
type question struct {
	*query
	unit *compiled
}

func (e *Engine) prepare(active *snapshot, segments []string, m metrics.Metrics, meter *builtin.Meter) (question, *Failure) {
	ref, err := refOf(segments)
	if err != nil {
		return question{}, &Failure{"path", err.Error()}
	}
	key := pathKey(segments)
	found, err := e.unitOf(active, segments, key, meter)
	if err == errGaveUp {
		return question{}, cancelledFailure()
	}
	if err != nil {
		return question{}, &Failure{"evaluation", err.Error()}
	}
	ask := question{found.query(key, ref, m), found}
	if ask.err != nil {
		return question{}, &Failure{"evaluation", ask.err.Error()}
	}
	return ask, nil
}

type evaluation struct {
	engine  *Engine
	active  *snapshot
	ask     question
	refused *Failure // the question cannot be asked
	request *frame.Eval
	metrics metrics.Metrics // of the next input; nil: it has not begun
	meter   *builtin.Meter
	time    time.Time
	seed    [32]byte
	seeded  bool
	log     logger
}

// asked is what is known of one input beside its outcome.
type asked struct {
	input, result ast.Value // nil: undefined
	extras
}

func panicked(problem any) *Failure {
	return &Failure{"evaluation", fmt.Sprintf("the engine panicked: %v", problem)}
}

func (r *evaluation) one(input frame.Input) Outcome {
	seen := asked{extras: extras{metrics: r.begin()}}
	outcome := r.decide(input, &seen)
	const saysNothing = frame.FlagStrict | frame.FlagUnknownKeys
	if r.request.Flags&^saysNothing == 0 && r.request.Explain == frame.ExplainOff && len(seen.unknown.Found()) == 0 {
		return outcome
	}
	outcome = r.render(outcome, &seen)
	if r.request.Flags&frame.FlagLogRules != 0 && r.active.log.exist() {
		outcome.Extras = withMember(outcome.Extras, "log", r.logged(&outcome, &seen))
	}
	return outcome
}

// decide evaluates for one input. The outcome has no extras yet.
func (r *evaluation) decide(input frame.Input, seen *asked) (outcome Outcome) {
	defer func() {
		if problem := recover(); problem != nil {
			outcome = Outcome{Failure: panicked(problem)}
		}
	}()
	if r.meter.Cancelled() {
		return Outcome{Failure: cancelledFailure()}
	}
	var err error
	seen.input, err = r.input(input, seen.metrics)
	if r.refused != nil {
		return Outcome{Failure: r.refused}
	}
	if err != nil {
		return Outcome{Failure: &Failure{"input", err.Error()}}
	}
	if r.meter.Presented, err = builtin.ReadPresented(input.Presented); err != nil {
		return Outcome{Failure: &Failure{"frame", err.Error()}}
	}
	outcome.Input = seen.input != nil
	seen.result, err = r.run(seen)
	switch {
	case err == nil:
	case topdown.IsCancel(err) || r.meter.Cancelled():
		return Outcome{Failure: cancelledFailure()}
	case builtin.Unrecorded(err) != "":
		return Outcome{Failure: &Failure{"unrecorded", builtin.Unrecorded(err)}}
	default:
		failure, details := failureOf(err)
		return Outcome{Failure: failure, Details: details}
	}
	if seen.result == nil {
		return outcome
	}
	outcome.Defined = true
	if outcome.Value, err = encode(seen.result, r.engine.options.ResultMax); err != nil {
		return Outcome{Failure: r.unrendered(err)}
	}
	return outcome
}

// begin returns the metrics of the next input.
func (r *evaluation) begin() metrics.Metrics {
	m := r.metrics
	if r.metrics = nil; m == nil {
		m = newMetrics(r.request.Flags)
		m.Counter(metrics.ServerQueryCacheHit).Incr()
	}
	return m
}

func (r *evaluation) input(input frame.Input, m metrics.Metrics) (ast.Value, error) {
	m.Timer(metrics.RegoInputParse).Start()
	defer m.Timer(metrics.RegoInputParse).Stop()
	if !input.Present {
		return nil, nil
	}
	return readInput(r.request.Form, input.Text)
}

// render adds the extras but for the log's. An outcome whose extras cannot be rendered is a failure.
func (r *evaluation) render(outcome Outcome, seen *asked) (rendered Outcome) {
	defer func() {
		if problem := recover(); problem != nil {
			rendered = Outcome{Failure: panicked(problem)}
		}
	}()
	seen.metrics.Timer(metrics.ServerHandler).Stop()
	err := seen.renderCache(r.engine.options.ResultMax)
	if err == nil {
		outcome.Extras, err = seen.render(r.request, &outcome)
	}
	if err == nil && len(outcome.Extras) > r.engine.options.ResultMax {
		err = errTooLarge
	}
	switch {
	case err == nil:
	case outcome.Failure != nil: // which says more
		outcome.Extras = nil
	default:
		return Outcome{Failure: r.unrendered(err)}
	}
	return outcome
}

func (r *evaluation) unrendered(err error) *Failure {
	if err == errTooLarge {
		return &Failure{"result_too_large", fmt.Sprintf("the result has more than %d bytes", r.engine.options.ResultMax)}
	}
	return &Failure{"evaluation", err.Error()}
}

// query returns a query for a question, with everything that all evaluations of one frame share.
func (r *evaluation) query(ask question, input ast.Value) *topdown.Query {
	q := topdown.NewQuery(ask.body).
		WithQueryCompiler(ask.compiler).
		WithCompiler(ask.unit.compiler).
		WithStore(r.active.data).
		WithTransaction(r.active.data).
		WithCancel(r.meter).
		WithTime(r.time).
		WithInterQueryBuiltinCache(r.engine.answers).
		WithInterQueryBuiltinValueCache(r.engine.values)
	if r.seeded {
		q = q.WithSeed(rand.NewChaCha8(r.seed))
	}
	if input != nil {
		q = q.WithInput(ast.NewTerm(input))
	}
	return q
}

// valueOfQuery evaluates; no value: undefined.
func (r *evaluation) valueOfQuery(q *topdown.Query) (result ast.Value, err error) {
	err = q.Iter(r.meter, func(found topdown.QueryResult) error {
		result = found[answer].Value
		return nil
	})
	return result, err
}

func (r *evaluation) run(seen *asked) (ast.Value, error) {
	q := r.query(r.ask, seen.input).
		WithStackTraces(true). // for the errors that OPA's server would give
		WithStrictBuiltinErrors(r.request.Flags&frame.FlagStrict != 0)
	if r.request.Flags&frame.FlagUnknownKeys != 0 && r.meter.Recorded == nil {
		r.meter.Unknown = &seen.unknown
		defer func() { r.meter.Unknown = nil }() // the rules for the log are not looked at
	}
	q = seen.attach(q, r.request.Flags, r.request.Explain)
	r.meter.Memo = builtin.MemoUse{}
	if r.meter.Recorded == nil && !r.ask.unit.replaces && r.ask.unit.txn != nil {
		r.meter.Memo = r.engine.memo.Of(r.active.number, r.active.data.root)
		q = q.WithVirtualCache(r.meter.TxnResults(r.ask.unit.txn, r.time, seen.cache))
	}
	r.meter.Tokens.TakeAsked()
	value, err := r.valueOfQuery(q)
	if r.meter.Tokens.TakeAsked() && r.request.Flags&frame.FlagNonDeterministic != 0 {
		lane := r.meter.Tokens.Read()
		seen.lane = &lane
	}
	return value, err
}
