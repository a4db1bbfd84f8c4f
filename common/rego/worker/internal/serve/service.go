package serve

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"

	"notp.core-platform.internal/notp-pdp/internal/check"
	"notp.core-platform.internal/notp-pdp/internal/frame"
)

func (w *Worker) stats(request frame.Frame) {
	modules, documents := w.content.Counts()
	text, err := json.Marshal(map[string]any{
		"heap_bytes": heapBytes(),
		"goroutines": uint64(runtime.NumGoroutine()),
		"in_flight":  uint64(w.pool.count()),
		"snapshot":   w.engine.Number(),
		"modules":    uint64(modules),
		"documents":  uint64(documents),
	})
	w.answerText(request, text, err)
}

// check begins when what came before it is done, so that it never finds content that is being
// forgotten, and runs beside what comes after it.
func (w *Worker) check(request frame.Frame) {
	payload := frame.NewDecoder(request.Payload)
	text := payload.Bytes()
	if err := payload.End(); err != nil {
		w.malformed(request, err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancellable(request.ID, cancel)
	w.beside(func() {
		report, err := check.Check(ctx, check.Staged{Store: w.content}, text, func(step check.Step) {
			w.writer.Send(frame.NewProgress(request.ID, step.Begins, step.Path, step.Row, step.Name))
		})
		cancel()
		w.finished(request.ID)
		w.answerText(request, report, err)
	})
}

func (w *Worker) stubs(request frame.Frame) {
	payload := frame.NewDecoder(request.Payload)
	text := payload.Bytes()
	if err := payload.End(); err != nil {
		w.malformed(request, err)
		return
	}
	w.beside(func() {
		texts, err := check.Stubs(check.Staged{Store: w.content}, text)
		w.answerText(request, texts, err)
	})
}

// beside runs a task after what came before it, and beside what comes after it.
func (w *Worker) beside(task func()) { w.control.push(func() { go task() }) }

// answerText answers with one str, or with an error that may have a code of its own.
func (w *Worker) answerText(request frame.Frame, text []byte, err error) {
	var failed *check.Failed
	switch {
	case err == nil:
		answer := frame.NewAnswer(request.ID, request.Operation)
		answer.Bytes(text)
		w.writer.Send(answer)
	case errors.As(err, &failed):
		w.fail(request, failed.Code, failed.Message)
	default:
		w.fail(request, "internal", err.Error())
	}
}
