// Package frame speaks the protocol between the worker and its supervisor; README.md of the worker has
// its layout.
package frame

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Protocol is the number that the hello frame carries.
const Protocol = 7

// LengthMax is the largest value of a frame's length field: bytes.
const LengthMax = 320 << 20

// Operations.
const (
	OpHello     = 0
	OpEval      = 1
	OpEvalBatch = 2
	OpCancel    = 3
	OpStage     = 4
	OpActivate  = 5
	OpDrop      = 6
	OpCheck     = 7
	OpStubs     = 8
	OpStats     = 9
	OpForget    = 10
	OpProgress  = 11
	OpReplay    = 12
	OpTokens    = 13
)

const headerSize = 4 + 1 // what the length counts beside the payload: id, operation

// Frame is one request.
type Frame struct {
	ID        uint32
	Operation uint8
	Payload   []byte // owned by the receiver
}

// Reader reads frames. Not safe for concurrent use.
type Reader struct {
	source *bufio.Reader
	files  fileSource // nil: descriptors cannot come
}

// fileSource is a connection that brings descriptors.
type fileSource interface {
	TakeFiles(count int) ([]int, error)
}

// NewReader returns a reader of `source`.
func NewReader(source io.Reader) *Reader {
	files, _ := source.(fileSource)
	return &Reader{source: bufio.NewReaderSize(source, 64<<10), files: files}
}

// Files returns the descriptors that came with the frame that was read last; the caller closes them.
func (r *Reader) Files(count int) ([]int, error) {
	if count == 0 {
		return nil, nil
	}
	if r.files == nil {
		return nil, errors.New("descriptors cannot come this way")
	}
	return r.files.TakeFiles(count)
}

// Read returns the next frame. io.EOF: the supervisor has gone between two frames.
func (r *Reader) Read() (Frame, error) {
	var header [4 + headerSize]byte
	if _, err := io.ReadFull(r.source, header[:]); err != nil {
		return Frame{}, err
	}
	length := binary.LittleEndian.Uint32(header[:])
	if length < headerSize || length > LengthMax {
		return Frame{}, fmt.Errorf("a frame of %d bytes", length)
	}
	f := Frame{ID: binary.LittleEndian.Uint32(header[4:]), Operation: header[8]}
	payload, err := readAll(r.source, int(length)-headerSize)
	f.Payload = payload
	return f, err
}

// IsEmpty reports whether nothing of a next frame was read yet.
func (r *Reader) IsEmpty() bool { return r.source.Buffered() == 0 }

// readAll takes memory as bytes arrive, so that a length alone costs nothing.
func readAll(source io.Reader, size int) ([]byte, error) {
	const step = 4 << 20
	payload := make([]byte, 0, min(size, step))
	for len(payload) < size {
		if len(payload) == cap(payload) {
			grown := make([]byte, len(payload), min(size, 2*cap(payload)))
			copy(grown, payload)
			payload = grown
		}
		at := len(payload)
		payload = payload[:cap(payload)]
		if _, err := io.ReadFull(source, payload[at:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return payload, nil
}
