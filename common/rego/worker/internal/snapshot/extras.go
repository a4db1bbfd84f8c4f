package snapshot

import (
	"encoding/json"
	"errors"

	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/server/types"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
	"github.com/open-policy-agent/opa/v1/topdown/lineage"

	"notp.core-platform.internal/notp-pdp/internal/frame"
)

// extras collects what a question asks for beside the value.
type extras struct {
	metrics metrics.Metrics
	trace   *topdown.BufferTracer
	cache   builtins.NDBCache
	errors  []topdown.Error
	labels  *topdown.EvaluatedRuleTracker
}

const metricFlags = frame.FlagMetrics | frame.FlagInstrument

// newMetrics returns what a request to OPA's server begins with.
func newMetrics(flags uint32) metrics.Metrics {
	if flags&metricFlags == 0 {
		return metrics.NoOp()
	}
	m := metrics.New()
	m.Timer(metrics.ServerHandler).Start()
	m.Counter(metrics.ServerQueryCacheHit)
	return m
}

// attach makes a query collect what was asked for.
func (x *extras) attach(q *topdown.Query, flags uint32, explain uint8) *topdown.Query {
	q = q.WithMetrics(x.metrics)
	if flags&frame.FlagInstrument != 0 {
		q = q.WithInstrumentation(topdown.NewInstrumentation(x.metrics))
	}
	if flags&frame.FlagNonDeterministic != 0 {
		x.cache = builtins.NDBCache{}
		q = q.WithNDBuiltinCache(x.cache)
	}
	if explain != frame.ExplainOff {
		x.trace = topdown.NewBufferTracer()
		q = q.WithQueryTracer(x.trace)
	}
	if flags&frame.FlagBuiltinErrors != 0 {
		q = q.WithBuiltinErrorList(&x.errors)
	}
	if flags&frame.FlagRuleLabels != 0 {
		x.labels = &topdown.EvaluatedRuleTracker{}
		q = q.WithEvaluatedRuleTracker(x.labels)
	}
	return q
}

// render returns a JSON object of what there is to say; nil: nothing.
func (x *extras) render(flags uint32, explain uint8, defined bool) ([]byte, error) {
	object := map[string]any{}
	if len(x.cache) > 0 {
		object["nd_builtin_cache"] = x.cache
	}
	if flags&metricFlags != 0 {
		object["metrics"] = x.metrics.All()
	}
	// OPA explains what is undefined in one mode alone.
	if x.trace != nil && (defined || explain == frame.ExplainFull) {
		trace, err := types.NewTraceV1(relevant(*x.trace, explain), flags&frame.FlagPretty != 0)
		if err != nil {
			return nil, err
		}
		object["explanation"] = trace
	}
	if x.labels != nil && defined && len(x.labels.Labels) > 0 {
		object["rule_labels"] = x.labels.Labels
	}
	if len(x.errors) > 0 {
		object["builtin_errors"] = x.errors
	}
	if len(object) == 0 {
		return nil, nil
	}
	return json.Marshal(object)
}

func relevant(trace []*topdown.Event, explain uint8) []*topdown.Event {
	switch explain {
	case frame.ExplainNotes:
		return lineage.Notes(trace)
	case frame.ExplainFails:
		return lineage.Fails(trace)
	case frame.ExplainFull:
		return lineage.Full(trace)
	}
	return lineage.Debug(trace)
}

// textMax bounds what is said of a failure: bytes.
const textMax = 1 << 20

// failureOf says why an evaluation failed, and gives what OPA's server has as `errors`.
func failureOf(err error) (*Failure, []byte) {
	message := err.Error()
	if len(message) > textMax {
		message = message[:textMax] + "…"
	}
	var found *topdown.Error
	if !errors.As(err, &found) {
		return &Failure{"evaluation", message}, nil
	}
	details, problem := json.Marshal([]error{err})
	if problem != nil || len(details) > textMax {
		details = nil
	}
	return &Failure{"evaluation", message}, details
}
