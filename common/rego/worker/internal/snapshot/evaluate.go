package snapshot

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/server/types"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
	"github.com/open-policy-agent/opa/v1/topdown/cache"
	"github.com/open-policy-agent/opa/v1/topdown/lineage"
	"github.com/open-policy-agent/opa/v1/util"

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
	Extras  []byte // a JSON object; nil: none
	Failure *Failure
}

// Decision is what an eval or a batch gives: all of it from one snapshot, with one reading of the clock.
type Decision struct {
	Snapshot uint64
	Time     int64 // ns since 1970
	Spent    time.Duration
	Outcomes []Outcome
	Failure  *Failure // nothing could be evaluated
}

// Evaluate evaluates a path for each of the inputs. The meter cancels it. It never panics.
func (e *Engine) Evaluate(request frame.Eval, meter *builtin.Meter) (decision Decision) {
	began := time.Now()
	defer func() {
		if problem := recover(); problem != nil {
			decision.Failure = panicked(problem)
		}
	}()
	decision.Time = request.Time
	if decision.Time == 0 {
		decision.Time = began.UnixNano()
	}
	active := e.active.Load()
	if active == nil {
		decision.Failure = &Failure{"no_snapshot", "nothing is active"}
		return decision
	}
	decision.Snapshot = active.number
	ask, failure := e.prepare(active, request.Path, meter)
	if failure != nil {
		decision.Failure = failure
		return decision
	}
	run := evaluation{engine: e, data: active.data, ask: ask, flags: request.Flags, meter: meter}
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
	decision.Spent = time.Since(began)
	return decision
}

// question is a compiled query with the compiler of its unit.
type question struct {
	*query
	unit *compiled
}

func (e *Engine) prepare(active *snapshot, segments []string, meter *builtin.Meter) (question, *Failure) {
	ref, ok := refOf(segments)
	if !ok {
		return question{}, &Failure{"path", `a segment with the character '"'`}
	}
	key := pathKey(segments)
	found, err := e.unitOf(active, segments, key, meter)
	if err == errGaveUp {
		return question{}, cancelledFailure()
	}
	if err != nil {
		return question{}, &Failure{"evaluation", err.Error()}
	}
	ask := question{found.query(key, ref), found}
	if ask.err != nil {
		return question{}, &Failure{"evaluation", ask.err.Error()}
	}
	return ask, nil
}

type evaluation struct {
	engine *Engine
	data   *data
	ask    question
	flags  uint32
	meter  *builtin.Meter
	time   time.Time
	seed   [32]byte
	seeded bool
}

func panicked(problem any) *Failure {
	return &Failure{"evaluation", fmt.Sprintf("the engine panicked: %v", problem)}
}

// extras collects what the flags ask for beside the value.
type extras struct {
	metrics metrics.Metrics
	trace   *topdown.BufferTracer
	cache   builtins.NDBCache
	errors  []topdown.Error
}

func (r *evaluation) one(input frame.Input) (outcome Outcome) {
	defer func() {
		if problem := recover(); problem != nil {
			outcome = Outcome{Failure: panicked(problem)}
		}
	}()
	if r.meter.Cancelled() {
		return Outcome{Failure: cancelledFailure()}
	}
	var value ast.Value
	if input.Present {
		parsed, err := parseInput(input.JSON)
		if err != nil {
			return Outcome{Failure: &Failure{"input", err.Error()}}
		}
		value = parsed
	}
	var more extras
	result, err := r.run(value, &more)
	switch {
	case err == nil:
	case topdown.IsCancel(err) || r.meter.Cancelled():
		return Outcome{Failure: cancelledFailure()}
	default:
		return Outcome{Failure: &Failure{"evaluation", err.Error()}}
	}
	if result != nil {
		outcome.Defined = true
		outcome.Value, err = encode(result, r.engine.options.ResultMax)
	}
	if err == nil && r.flags&^frame.FlagStrict != 0 {
		outcome.Extras, err = r.extras(&more)
	}
	if err == errTooLarge {
		message := fmt.Sprintf("the result has more than %d bytes", r.engine.options.ResultMax)
		return Outcome{Failure: &Failure{"result_too_large", message}}
	}
	if err != nil {
		return Outcome{Failure: &Failure{"evaluation", err.Error()}}
	}
	return outcome
}

// run evaluates; no value: undefined.
func (r *evaluation) run(input ast.Value, more *extras) (result ast.Value, err error) {
	q := topdown.NewQuery(r.ask.body).
		WithQueryCompiler(r.ask.compiler).
		WithCompiler(r.ask.unit.compiler).
		WithStore(r.data).
		WithTransaction(r.data).
		WithCancel(r.meter).
		WithTime(r.time).
		WithInterQueryBuiltinCache(r.engine.answers).
		WithInterQueryBuiltinValueCache(r.engine.values).
		WithStrictBuiltinErrors(r.flags&frame.FlagStrict != 0)
	if r.seeded {
		q = q.WithSeed(rand.NewChaCha8(r.seed))
	}
	if input != nil {
		q = q.WithInput(ast.NewTerm(input))
	}
	more.metrics = metrics.NoOp()
	if r.flags&frame.FlagMetrics != 0 {
		more.metrics = metrics.New()
	}
	q = q.WithMetrics(more.metrics)
	if r.flags&frame.FlagNonDeterministic != 0 {
		more.cache = builtins.NDBCache{}
		q = q.WithNDBuiltinCache(more.cache)
	}
	if r.flags&frame.FlagExplain != 0 {
		more.trace = topdown.NewBufferTracer()
		q = q.WithQueryTracer(more.trace)
	}
	if r.flags&frame.FlagBuiltinErrors != 0 {
		q = q.WithBuiltinErrorList(&more.errors)
	}
	err = q.Iter(r.meter, func(found topdown.QueryResult) error {
		result = found[answer].Value
		return nil
	})
	return result, err
}

func (r *evaluation) extras(more *extras) ([]byte, error) {
	object := map[string]any{}
	if len(more.cache) > 0 {
		object["nd_builtin_cache"] = more.cache
	}
	if r.flags&frame.FlagMetrics != 0 {
		object["metrics"] = more.metrics.All()
	}
	if more.trace != nil {
		trace, err := types.NewTraceV1(lineage.Full(*more.trace), false)
		if err != nil {
			return nil, err
		}
		object["explanation"] = trace
	}
	if len(more.errors) > 0 {
		object["builtin_errors"] = more.errors
	}
	if len(object) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(object)
	if err == nil && len(text) > r.engine.options.ResultMax {
		return nil, errTooLarge
	}
	return text, err
}

var byteOrderMark = []byte{0xef, 0xbb, 0xbf}

// parseInput reads an input as OPA does: numbers keep their text, and of equal keys the last one counts.
func parseInput(text []byte) (ast.Value, error) {
	decoder := util.NewJSONDecoder(bytes.NewReader(bytes.TrimPrefix(text, byteOrderMark)))
	var value any
	if err := decoder.Decode(&value); err != nil {
		if err == io.EOF {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("something follows the value")
	}
	return ast.InterfaceToValue(value)
}
