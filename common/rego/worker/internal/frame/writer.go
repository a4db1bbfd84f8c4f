package frame

import (
	"io"
	"sync"
)

// Writer writes frames from many goroutines. The goroutine that finds no write under way writes what
// is there, its own frame and those that arrive meanwhile, so that answers of one moment leave in one
// system call and a single answer needs no other goroutine. Thread-safe.
type Writer struct {
	sink io.Writer

	mutex   sync.Mutex
	waiting [][]byte
	writing bool
	err     error
}

// NewWriter returns a writer to `sink`.
func NewWriter(sink io.Writer) *Writer { return &Writer{sink: sink} }

// largeFrame is written by itself instead of being copied behind others: bytes.
const largeFrame = 64 << 10

// Send writes a frame, now or with the write that is under way. After an error nothing is written: the
// supervisor has gone, and the reader finds out.
func (w *Writer) Send(e *Encoder) {
	w.mutex.Lock()
	w.waiting = append(w.waiting, e.frame())
	if w.writing {
		w.mutex.Unlock()
		return
	}
	w.writing = true
	for len(w.waiting) > 0 && w.err == nil {
		frames := w.waiting
		w.waiting = nil
		w.mutex.Unlock()
		err := w.write(frames)
		w.mutex.Lock()
		w.err = err
	}
	w.waiting, w.writing = nil, false
	w.mutex.Unlock()
}

func (w *Writer) write(frames [][]byte) error {
	var joined []byte
	for i, frame := range frames {
		if len(frames) == 1 || len(frame) >= largeFrame {
			if err := w.flush(&joined); err != nil {
				return err
			}
			if _, err := w.sink.Write(frame); err != nil {
				return err
			}
			frames[i] = nil
			continue
		}
		joined = append(joined, frame...)
	}
	return w.flush(&joined)
}

func (w *Writer) flush(joined *[]byte) error {
	if len(*joined) == 0 {
		return nil
	}
	_, err := w.sink.Write(*joined)
	*joined = (*joined)[:0]
	return err
}
