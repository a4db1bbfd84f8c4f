// Package builtin puts bounds on built-in functions that OPA can neither cancel nor limit. Importing it
// replaces them for the whole process: same names, and within the bounds the same answers. Beyond a
// bound the evaluation fails; it never goes on with "undefined", which a negation would turn into "true".
package builtin

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"notp.core-platform.internal/notp-pdp/internal/tokens"
)

// Bounds of one call.
const (
	textMax   = 64 << 20 // bytes of a text that a call makes
	itemsMax  = 2 << 20  // items of a collection that a call makes
	digitsMax = 100_000  // decimal digits of a number that is calculated with
	nodesMax  = 8 << 20  // values in a document that json.patch makes
)

// evaluationMax bounds what one evaluation makes by large results of calls, added up: bytes.
const evaluationMax = 512 << 20

// largeResult is the size from which a result counts towards evaluationMax: bytes.
const largeResult = 32 << 10

// Meter cancels one evaluation and counts the memory that its calls take. It is also the evaluation's
// context, so that a cancel ends waiting for the network. The zero value is ready. Thread-safe. Calls of
// evaluations that have another topdown.Cancel are bounded one by one only.
type Meter struct {
	Recorded *Recorded    // of an evaluation that is repeated; nil: it is none. Set before it begins.
	Tokens   tokens.Use   // what the evaluation sees of a token lane. Set before it begins.
	Unknown  *UnknownKeys // of the evaluation under way; nil: they are not noted. Set between evaluations.

	Memo      MemoUse        // of transaction tokens. Set between evaluations.
	Presented map[string]int // of the input under way, by txn; nil: none. Set between evaluations.
	forged    forged         // the last one that was found. Used by the goroutine that evaluates.

	cancelled atomic.Bool
	bytes     atomic.Int64

	mutex sync.Mutex
	done  chan struct{} // made when it is first asked for
}

// Cancel ends the evaluation soon. It may be called again.
func (m *Meter) Cancel() {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if !m.cancelled.Swap(true) && m.done != nil {
		close(m.done)
	}
}

// Cancelled reports whether Cancel was called.
func (m *Meter) Cancelled() bool { return m.cancelled.Load() }

// Done returns a channel that is closed by Cancel.
func (m *Meter) Done() <-chan struct{} {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.done == nil {
		m.done = make(chan struct{})
		if m.cancelled.Load() {
			close(m.done)
		}
	}
	return m.done
}

// Err is context.Canceled after Cancel.
func (m *Meter) Err() error {
	if m.Cancelled() {
		return context.Canceled
	}
	return nil
}

// Deadline and Value make a Meter a context.Context that has neither.
func (m *Meter) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }
func (m *Meter) Value(any) any                           { return nil }

// IsLimit reports whether an evaluation failed because a call was beyond a bound.
func IsLimit(err error) bool {
	found, ok := err.(*topdown.Error)
	return ok && found.Code == limitCode
}

const limitCode = "eval_limit_error"

// beyond is the error of a call that would pass a bound.
func beyond(bctx topdown.BuiltinContext, name, format string, arguments ...any) error {
	return topdown.Halt{Err: &topdown.Error{
		Code:     limitCode,
		Message:  name + ": " + fmt.Sprintf(format, arguments...),
		Location: bctx.Location,
	}}
}

func cancelled(bctx topdown.BuiltinContext) bool {
	return bctx.Cancel != nil && bctx.Cancel.Cancelled()
}

func cancelError(bctx topdown.BuiltinContext, name string) error {
	return topdown.Halt{Err: &topdown.Error{
		Code:     topdown.CancelErr,
		Message:  name + ": cancelled",
		Location: bctx.Location,
	}}
}

// charge counts a result of so many bytes before it is made.
func charge(bctx topdown.BuiltinContext, name string, bytes int64) error {
	if bytes > textMax {
		return beyond(bctx, name, "a result of more than %d MiB", textMax>>20)
	}
	meter, ok := bctx.Cancel.(*Meter)
	if !ok || bytes < largeResult {
		return nil
	}
	if meter.Cancelled() {
		return cancelError(bctx, name)
	}
	if meter.bytes.Add(bytes) > evaluationMax {
		return beyond(bctx, name, "the evaluation has made more than %d MiB of large values", evaluationMax>>20)
	}
	return nil
}

// chargeItems counts a collection of so many items before it is made.
func chargeItems(bctx topdown.BuiltinContext, name string, items int64) error {
	if items > itemsMax {
		return beyond(bctx, name, "a result of more than %d items", itemsMax)
	}
	return charge(bctx, name, items*16)
}

// originals has OPA's functions by name, where they were replaced.
var originals = map[string]topdown.BuiltinFunc{}

// replaceBy puts a function in the place of OPA's, which it returns.
func replaceBy(declaration *ast.Builtin, f topdown.BuiltinFunc) topdown.BuiltinFunc {
	original := topdown.GetBuiltin(declaration.Name)
	if original == nil {
		panic("OPA has no " + declaration.Name)
	}
	originals[declaration.Name] = original
	override(declaration, f)
	return original
}

// override registers a function in the place of another one.
func override(declaration *ast.Builtin, f topdown.BuiltinFunc) {
	declaration.CanSkipBctx = false // otherwise there is no meter and no cancel
	topdown.RegisterBuiltinFunc(declaration.Name, f)
}

// check is called before a function; an error keeps it from being called.
type check func(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error

// guard puts a check before functions of OPA.
func guard(before check, declarations ...*ast.Builtin) {
	for _, declaration := range declarations {
		name := declaration.Name
		var original topdown.BuiltinFunc
		original = replaceBy(declaration, func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
			if err := before(bctx, name, operands); err != nil {
				return err
			}
			return original(bctx, operands, iter)
		})
	}
}

// Register adds a built-in function of our own. It must be called before anything is compiled.
func Register(declaration *ast.Builtin, f topdown.BuiltinFunc) {
	ast.RegisterBuiltin(declaration)
	topdown.RegisterBuiltinFunc(declaration.Name, f)
}
