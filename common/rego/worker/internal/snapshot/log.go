package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/frame"
)

// Where OPA's decision log looks for its rules.
var (
	dropPath = []string{"system", "log", "drop"}
	maskPath = []string{"system", "log", "mask"}
)

// logRules says which of the rules for the decision log a snapshot has.
type logRules struct {
	drop, mask bool
	withheld   string // key of a module with such a rule that takes no part; empty: none
}

func (l logRules) exist() bool { return l.drop || l.mask || l.withheld != "" }

func (s *snapshot) findLogRules() {
	_, dropData := lookup(s.data.root, dropPath)
	_, maskData := lookup(s.data.root, maskPath)
	s.log = logRules{drop: dropData, mask: maskData}
	for key, m := range s.modules {
		facts := m.facts
		if m.Withheld {
			facts = m.content.Facts(m.Version)
		}
		drop, mask := facts.Defines(dropPath), facts.Defines(maskPath)
		if m.Withheld && (drop || mask) {
			if s.log.withheld == "" || key < s.log.withheld {
				s.log.withheld = key
			}
			continue
		}
		s.log.drop, s.log.mask = s.log.drop || drop, s.log.mask || mask
	}
}

// unasked is what the log gets of a question that failed before its inputs were looked at. What may not
// be recorded of them is not known then. `s` may be nil.
func (s *snapshot) unasked(flags uint32) []byte {
	if s == nil || flags&frame.FlagLogRules == 0 || !s.log.exist() {
		return nil
	}
	return withMember(nil, "log", logError(errors.New("the question failed before data.system.log was evaluated")))
}

// logger is what the evaluations for the log of one frame share.
type logger struct {
	drop, mask *question  // nil: not asked yet
	members    ast.Object // of the event, from the frame; nil: not read yet
}

// logged evaluates the rules for the decision log and returns a JSON object for it; nil: the decision is
// recorded as it is. Whatever fails is said in there: a decision stays one.
func (r *evaluation) logged(outcome *Outcome, seen *asked) (text []byte) {
	defer func() {
		if problem := recover(); problem != nil {
			text = logError(errors.New("the engine panicked"))
		}
	}()
	text, err := r.evaluateLog(outcome, seen)
	if err != nil {
		return logError(err)
	}
	return text
}

// logErrorMax bounds what is said of a failure: bytes.
const logErrorMax = 4 << 10

func logError(err error) []byte {
	message := err.Error()
	if len(message) > logErrorMax {
		message = message[:logErrorMax] + "…"
	}
	text, _ := json.Marshal(map[string]string{"error": message})
	return text
}

// evaluateLog does as OPA's decision log does, on the same snapshot and with the same reading of the clock.
func (r *evaluation) evaluateLog(outcome *Outcome, seen *asked) ([]byte, error) {
	rules := r.active.log
	if rules.withheld != "" {
		return nil, fmt.Errorf("the rules for the log in %s are withheld", rules.withheld)
	}
	event, err := r.event(outcome, seen)
	if err != nil {
		return nil, err
	}
	if rules.drop {
		drop, err := r.rule(&r.log.drop, dropPath, event)
		if err != nil {
			return nil, fmt.Errorf("data.system.log.drop: %w", err)
		}
		if drop != nil && drop.Compare(ast.Boolean(true)) == 0 {
			return []byte(`{"drop":true}`), nil
		}
	}
	if !rules.mask {
		return nil, nil
	}
	mask, err := r.rule(&r.log.mask, maskPath, event)
	var text []byte
	if err == nil && mask != nil {
		text, err = maskText(mask, r.engine.options.ResultMax)
	}
	if err != nil {
		return nil, fmt.Errorf("data.system.log.mask: %w", err)
	}
	return text, nil
}

// rule evaluates one of the rules. A built-in that fails makes it fail: without the rule that it stands
// in, a secret would be recorded.
func (r *evaluation) rule(prepared **question, path []string, event ast.Value) (ast.Value, error) {
	if *prepared == nil {
		ask, failure := r.engine.prepare(r.active, path, metrics.NoOp(), r.meter)
		if failure != nil {
			return nil, errors.New(failure.Message)
		}
		*prepared = &ask
	}
	// What these rules verify with other keys is not what decisions do.
	if unit := (*prepared).unit; unit.replaces || unit.txn == nil {
		r.meter.Memo = builtin.MemoUse{}
	}
	value, err := r.valueOfQuery(r.query(**prepared, event).WithMetrics(metrics.NoOp()).WithStrictBuiltinErrors(true))
	if err == nil {
		return value, nil
	}
	if topdown.IsCancel(err) || r.meter.Cancelled() {
		return nil, errors.New(cancelledFailure().Message)
	}
	return nil, discreet(err)
}

// discreet returns an error without the values that built-ins and conflicts show in theirs: the text is
// recorded where the values must not be.
func discreet(err error) error {
	var found *topdown.Error
	if !errors.As(err, &found) {
		return errors.New("the evaluation failed")
	}
	// The further lines of a conflict are the values.
	what, _, _ := strings.Cut(found.Message, ":\n")
	if found.Code == topdown.BuiltinErr || found.Code == topdown.InternalErr {
		what = "a built-in function failed"
		if name, _, _ := strings.Cut(found.Message, ":"); topdown.GetBuiltin(name) != nil {
			what = name + " failed"
		}
	}
	if found.Location == nil {
		return fmt.Errorf("%s: %s", found.Code, what)
	}
	return fmt.Errorf("%s:%d: %s: %s", found.Location.File, found.Location.Row, found.Code, what)
}
