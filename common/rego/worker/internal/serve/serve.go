// Package serve answers the supervisor's frames: one goroutine reads and evaluates what is quick, a
// bounded pool the rest, and what changes the snapshot runs in the order in which it arrived.
package serve

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"sync"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/content"
	"notp.core-platform.internal/notp-pdp/internal/frame"
	"notp.core-platform.internal/notp-pdp/internal/snapshot"
	"notp.core-platform.internal/notp-pdp/internal/tokens"
)

// Options of a worker.
type Options struct {
	Version  string // of OPA, for the hello frame
	InFlight int    // evaluations at once
	Snapshot snapshot.Options
}

// Worker serves one connection.
type Worker struct {
	options Options
	writer  *frame.Writer
	content *content.Store
	engine  *snapshot.Engine
	tokens  tokens.Holder
	pool    pool
	relay   *relay
	control queue
	ended   chan error // of reading

	mutex  sync.Mutex
	cancel map[uint32]func() // of requests that can be cancelled, by id
}

// New returns a worker that has not said hello yet.
func New(connection io.Writer, options Options) *Worker {
	store := content.NewStore()
	return &Worker{
		options: options,
		writer:  frame.NewWriter(connection),
		content: store,
		engine:  snapshot.New(store, options.Snapshot),
		pool:    pool{max: options.InFlight},
		cancel:  map[uint32]func(){},
		ended:   make(chan error, 1),
	}
}

// Serve says hello and answers requests until the supervisor has gone. The error is nil then.
func (w *Worker) Serve(connection io.Reader) error {
	w.writer.Send(frame.NewHello(w.options.Version))
	reader := frame.NewReader(connection)
	w.relay = newRelay(func() { w.read(reader) })
	go w.read(reader)
	return <-w.ended
}

// read reads until the supervisor has gone, or another goroutine reads.
func (w *Worker) read(reader *frame.Reader) {
	for {
		request, err := reader.Read()
		if err != nil {
			if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
				err = nil
			}
			w.ended <- err
			return
		}
		if request.Operation == frame.OpTokens {
			w.replaceTokens(request, reader)
			continue
		}
		if request.Operation != frame.OpEval && request.Operation != frame.OpEvalBatch {
			w.dispatch(request)
			continue
		}
		task := w.evaluation(request)
		if task == nil {
			continue
		}
		if !w.relay.may(reader.IsEmpty()) || !w.pool.enter() {
			w.pool.run(task)
			continue
		}
		reads := w.relay.run(task)
		w.pool.leave()
		if !reads {
			return
		}
	}
}

// dispatch never waits for an evaluation.
func (w *Worker) dispatch(request frame.Frame) {
	switch request.Operation {
	case frame.OpCancel:
		w.cancelRequest(request)
	case frame.OpStage:
		w.stage(request)
	case frame.OpActivate:
		w.activate(request)
	case frame.OpDrop:
		mark := w.content.Mark()
		w.control.push(func() {
			w.engine.Drop(mark)
			debug.FreeOSMemory()
			w.writer.Send(frame.NewAnswer(request.ID, request.Operation))
		})
	case frame.OpForget:
		w.forget(request)
	case frame.OpCheck:
		w.check(request)
	case frame.OpStubs:
		w.stubs(request)
	case frame.OpStats:
		w.stats(request)
	case frame.OpReplay:
		w.replay(request)
	default:
		w.fail(request, "operation", "unknown operation")
	}
}

func (w *Worker) fail(request frame.Frame, code, message string) {
	w.writer.Send(frame.NewError(request.ID, request.Operation, code, message, nil, nil))
}

// malformed answers a payload that cannot be taken apart.
func (w *Worker) malformed(request frame.Frame, err error) { w.fail(request, "frame", err.Error()) }

func (w *Worker) cancellable(id uint32, cancel func()) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.cancel[id] = cancel
}

func (w *Worker) finished(id uint32) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	delete(w.cancel, id)
}

func (w *Worker) cancelRequest(request frame.Frame) {
	id, err := frame.DecodeCancel(request.Payload)
	if err != nil {
		return // a cancel has no answer
	}
	w.mutex.Lock()
	cancel := w.cancel[id]
	w.mutex.Unlock()
	if cancel != nil {
		cancel()
	}
}

// stage has no answer: what is wrong with content is found by what uses it.
func (w *Worker) stage(request frame.Frame) {
	s, err := frame.DecodeStage(request.Payload)
	if err != nil {
		return
	}
	switch s.Kind {
	case frame.StageModule:
		w.content.AddModule(s.Hash, string(s.Text))
	case frame.StageDocument:
		w.content.AddDocument(s.Hash, s.Text, s.YAML)
	case frame.StagePatch:
		w.content.AddPatch(s.Hash, s.Base, s.Text)
	}
}

// replaceTokens is done before the next frame is read: what is asked after an update sees it.
func (w *Worker) replaceTokens(request frame.Frame, reader *frame.Reader) {
	update, err := frame.DecodeTokens(request.Payload)
	if err != nil {
		w.malformed(request, err)
		return
	}
	files, err := reader.Files(update.Files())
	if err == nil {
		err = w.tokens.Apply(update, files)
	}
	if err != nil {
		w.fail(request, "tokens", err.Error())
		return
	}
	w.writer.Send(frame.NewAnswer(request.ID, request.Operation))
}

func (w *Worker) forget(request frame.Frame) {
	hashes, err := frame.DecodeForget(request.Payload)
	if err != nil {
		return
	}
	mark := w.content.Mark()
	w.control.push(func() { w.content.Forget(hashes, mark) })
}

func (w *Worker) activate(request frame.Frame) {
	wanted, err := frame.DecodeActivate(request.Payload)
	if err != nil {
		w.malformed(request, err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancellable(request.ID, cancel)
	mark := w.content.Mark()
	w.control.push(func() {
		count, failure := w.engine.Activate(ctx, wanted)
		cancel()
		w.finished(request.ID)
		if failure != nil {
			w.fail(request, failure.Code, failure.Message)
			return
		}
		answer := frame.NewAnswer(request.ID, request.Operation)
		answer.U64(wanted.Snapshot)
		answer.U32(uint32(count))
		answer.U64(heapBytes())
		w.writer.Send(answer)
		w.engine.Collect(mark)
		if count >= releaseFrom {
			debug.FreeOSMemory()
		}
	})
}

// evaluation returns what evaluates and answers; nil when the question was answered with an error.
func (w *Worker) evaluation(request frame.Frame) func() {
	batch := request.Operation == frame.OpEvalBatch
	question, err := frame.DecodeEval(request.Payload, batch)
	if err != nil {
		w.malformed(request, err)
		return nil
	}
	meter := &builtin.Meter{Tokens: tokens.NewUse(&w.tokens)}
	w.cancellable(request.ID, meter.Cancel)
	return func() {
		decision := w.engine.Evaluate(question, meter)
		meter.Tokens.End()
		w.finished(request.ID)
		if batch {
			w.writer.Send(batchAnswer(request, decision))
		} else {
			w.writer.Send(evalAnswer(request, decision))
		}
	}
}

// replay evaluates again what was evaluated before.
func (w *Worker) replay(request frame.Frame) {
	question, err := frame.DecodeReplay(request.Payload)
	if err != nil {
		w.malformed(request, err)
		return
	}
	recorded, err := builtin.ReadRecorded(question.Recorded, question.Time != 0)
	if err != nil {
		w.fail(request, "recorded", err.Error())
		return
	}
	meter := &builtin.Meter{Recorded: recorded}
	w.cancellable(request.ID, meter.Cancel)
	w.pool.run(func() {
		var decision snapshot.Decision
		if len(question.Hidden) > 0 {
			decision = w.engine.Depends(question, meter)
		} else {
			decision = w.engine.Evaluate(question.Eval, meter)
		}
		w.finished(request.ID)
		w.writer.Send(evalAnswer(request, decision))
	})
}

func evalAnswer(request frame.Frame, decision snapshot.Decision) *frame.Encoder {
	if failure := decision.Failure; failure != nil {
		return frame.NewError(request.ID, request.Operation, failure.Code, failure.Message, nil, decision.Extras)
	}
	outcome := decision.Outcomes[0]
	if failure := outcome.Failure; failure != nil {
		return frame.NewError(request.ID, request.Operation, failure.Code, failure.Message, outcome.Details, outcome.Extras)
	}
	answer := frame.NewAnswer(request.ID, request.Operation)
	answer.U64(decision.Snapshot)
	answer.U8(defined(outcome))
	answer.U8(facts(decision, outcome))
	answer.Bytes(outcome.Value)
	answer.I64(decision.Time)
	answer.U64(uint64(decision.Spent))
	answer.Bytes(outcome.Extras)
	return answer
}

// failedOutcome marks an input of a batch that could not be evaluated.
const failedOutcome = 2

func defined(outcome snapshot.Outcome) uint8 {
	if outcome.Defined {
		return 1
	}
	return 0
}

func facts(decision snapshot.Decision, outcome snapshot.Outcome) (facts uint8) {
	if outcome.Input {
		facts |= frame.AnswerHasInput
	}
	if decision.Ruled {
		facts |= frame.AnswerRuleExists
	}
	return facts
}

func batchAnswer(request frame.Frame, decision snapshot.Decision) *frame.Encoder {
	if failure := decision.Failure; failure != nil {
		return frame.NewError(request.ID, request.Operation, failure.Code, failure.Message, nil, decision.Extras)
	}
	answer := frame.NewAnswer(request.ID, request.Operation)
	answer.U64(decision.Snapshot)
	answer.I64(decision.Time)
	answer.U64(uint64(decision.Spent))
	answer.U32(uint32(len(decision.Outcomes)))
	for _, outcome := range decision.Outcomes {
		if failure := outcome.Failure; failure != nil {
			answer.U8(failedOutcome)
			answer.U8(0)
			answer.Str(failure.Message)
			answer.Str(failure.Code)
			answer.Bytes(outcome.Details)
			answer.Bytes(outcome.Extras)
			continue
		}
		answer.U8(defined(outcome))
		answer.U8(facts(decision, outcome))
		answer.Bytes(outcome.Value)
		answer.Str("")
		answer.Str("")
		answer.Bytes(outcome.Extras)
	}
	return answer
}
