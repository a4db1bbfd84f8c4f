package snapshot

import (
	"encoding/json"
	"errors"

	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/server/types"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
	"github.com/open-policy-agent/opa/v1/topdown/lineage"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/frame"
	"notp.core-platform.internal/notp-pdp/internal/tokens"
)

// extras collects what a question asks for beside the value.
type extras struct {
	metrics metrics.Metrics
	trace   *topdown.BufferTracer
	cache   builtins.NDBCache // nil: not asked for
	errors  []topdown.Error
	labels  *topdown.EvaluatedRuleTracker
	unknown builtin.UnknownKeys
	lane    *tokens.Read // nil: nothing was looked up, or it is not asked for

	cacheText []byte // of the cache without secrets; nil: empty, or left out
	omitted   int    // bytes of a text that was left out
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

// ndCacheMax bounds the results of non-deterministic built-ins that are recorded: bytes. The supervisor
// names it kNdCacheBytesMax.
const ndCacheMax = 64 << 10

// renderCache takes the secrets out of the recorded results and renders them. Those of more than `limit`
// bytes are not counted to their end.
func (x *extras) renderCache(limit int) error {
	if len(x.cache) == 0 {
		return nil
	}
	x.cache = builtin.Redacted(x.cache)
	if len(x.cache) == 0 {
		return nil
	}
	text, err := encode(x.cache.AsValue(), limit)
	switch {
	case err == errTooLarge:
		x.omitted = limit
	case err != nil:
		return err
	case len(text) > ndCacheMax:
		x.omitted = len(text)
	default:
		x.cacheText = text
	}
	return nil
}

// render returns a JSON object of what there is to say, but for the log's; nil: nothing. Of a failure,
// only the results of non-deterministic built-ins that led to it are said, and the lane that they are of.
func (x *extras) render(request *frame.Eval, outcome *Outcome) ([]byte, error) {
	flags, explain, defined := request.Flags, request.Explain, outcome.Defined
	object := map[string]any{}
	if x.cacheText != nil {
		object["nd_builtin_cache"] = json.RawMessage(x.cacheText)
	}
	if x.omitted > 0 {
		object["nd_builtin_cache_omitted"] = x.omitted
	}
	if x.lane != nil {
		object["lane"] = x.lane
	}
	if outcome.Failure != nil {
		return marshal(object)
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
	if found := x.unknown.Found(); len(found) > 0 {
		object["unknown_keys"] = found
	}
	return marshal(object)
}

func marshal(object map[string]any) ([]byte, error) {
	if len(object) == 0 {
		return nil, nil
	}
	return json.Marshal(object)
}

// withMember adds a member to the text of an object; a value of nil is none.
func withMember(object []byte, name string, value []byte) []byte {
	if value == nil {
		return object
	}
	if len(object) == 0 {
		object = []byte("{")
	} else {
		object = append(object[:len(object)-1], ',')
	}
	object = append(object, `"`+name+`":`...)
	return append(append(object, value...), '}')
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
