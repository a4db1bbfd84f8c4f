package frame

import (
	"encoding/binary"
	"errors"
)

var (
	errShort = errors.New("the frame is shorter than what it says is in it")
	errKind  = errors.New("content of an unknown kind")
)

// Decoder takes a payload apart. After the first error every value is zero.
type Decoder struct {
	rest []byte
	err  error
}

// NewDecoder returns a decoder of a payload; what it returns refers to the payload.
func NewDecoder(payload []byte) *Decoder { return &Decoder{rest: payload} }

// Err returns the first error.
func (d *Decoder) Err() error { return d.err }

// End returns the first error, or one if something is left.
func (d *Decoder) End() error {
	if d.err == nil && len(d.rest) > 0 {
		d.err = errors.New("the frame is longer than what is in it")
	}
	return d.err
}

func (d *Decoder) take(n int) []byte {
	if d.err != nil || n > len(d.rest) {
		if d.err == nil {
			d.err = errShort
		}
		return nil
	}
	part := d.rest[:n]
	d.rest = d.rest[n:]
	return part
}

func (d *Decoder) fixed(n int) []byte {
	if part := d.take(n); part != nil {
		return part
	}
	return make([]byte, n)
}

// U8 and the like take one integer.
func (d *Decoder) U8() uint8   { return d.fixed(1)[0] }
func (d *Decoder) U16() uint16 { return binary.LittleEndian.Uint16(d.fixed(2)) }
func (d *Decoder) U32() uint32 { return binary.LittleEndian.Uint32(d.fixed(4)) }
func (d *Decoder) U64() uint64 { return binary.LittleEndian.Uint64(d.fixed(8)) }
func (d *Decoder) I64() int64  { return int64(d.U64()) }

// Bytes takes a str without copying it.
func (d *Decoder) Bytes() []byte {
	n := d.U32()
	if uint64(n) > uint64(len(d.rest)) {
		d.take(len(d.rest) + 1)
		return nil
	}
	return d.take(int(n))
}

// Str takes a str.
func (d *Decoder) Str() string { return string(d.Bytes()) }

// Hash takes a hash.
func (d *Decoder) Hash() (hash [32]byte) {
	copy(hash[:], d.take(len(hash)))
	return hash
}

// Count takes a u32 that counts items of at least `least` bytes each; 0 if they cannot be there.
func (d *Decoder) Count(least int) int {
	n := d.U32()
	if d.err == nil && uint64(n)*uint64(least) > uint64(len(d.rest)) {
		d.err = errShort
	}
	if d.err != nil {
		return 0
	}
	return int(n)
}

// Count16 is Count for a u16.
func (d *Decoder) Count16(least int) int {
	n := int(d.U16())
	if d.err == nil && n*least > len(d.rest) {
		d.err = errShort
	}
	if d.err != nil {
		return 0
	}
	return n
}

// Encoder builds one frame.
type Encoder struct {
	bytes []byte
}

// NewAnswer begins the answer to a request: status 0.
func NewAnswer(id uint32, operation uint8) *Encoder {
	e := newFrame(id, operation, 64)
	e.U8(0)
	return e
}

// NewProgress says what a check is about to do, or has done.
func NewProgress(id uint32, begins bool, path string, row int, name string) *Encoder {
	e := newFrame(id, OpProgress, 16+len(path)+len(name))
	if begins {
		e.U8(1)
	} else {
		e.U8(0)
	}
	e.Str(path)
	e.U32(uint32(row))
	e.Str(name)
	return e
}

// NewError is the answer to a request that failed. `details` is a JSON array of OPA's errors, `extras` a
// JSON object; each may be nothing.
func NewError(id uint32, operation uint8, code, message string, details, extras []byte) *Encoder {
	e := newFrame(id, operation, 32+len(code)+len(message)+len(details)+len(extras))
	e.U8(1)
	e.Str(code)
	e.Str(message)
	e.Bytes(details)
	e.Bytes(extras)
	return e
}

// NewRequest begins a request, as a supervisor sends it.
func NewRequest(id uint32, operation uint8) *Encoder { return newFrame(id, operation, 256) }

// NewHello is the worker's first frame.
func NewHello(version string) *Encoder {
	e := newFrame(0, OpHello, 32)
	e.U32(Protocol)
	e.Str(version)
	return e
}

func newFrame(id uint32, operation uint8, size int) *Encoder {
	e := &Encoder{bytes: make([]byte, 4, 4+headerSize+size)}
	e.U32(id)
	e.U8(operation)
	return e
}

// U8 and the like add one integer.
func (e *Encoder) U8(v uint8)   { e.bytes = append(e.bytes, v) }
func (e *Encoder) U16(v uint16) { e.bytes = binary.LittleEndian.AppendUint16(e.bytes, v) }
func (e *Encoder) U32(v uint32) { e.bytes = binary.LittleEndian.AppendUint32(e.bytes, v) }
func (e *Encoder) U64(v uint64) { e.bytes = binary.LittleEndian.AppendUint64(e.bytes, v) }
func (e *Encoder) I64(v int64)  { e.U64(uint64(v)) }

// Hash adds a hash.
func (e *Encoder) Hash(hash [32]byte) { e.bytes = append(e.bytes, hash[:]...) }

// Str adds a str.
func (e *Encoder) Str(text string) {
	e.U32(uint32(len(text)))
	e.bytes = append(e.bytes, text...)
}

// Bytes adds a str.
func (e *Encoder) Bytes(text []byte) {
	e.U32(uint32(len(text)))
	e.bytes = append(e.bytes, text...)
}

// Len is the frame's length so far: bytes.
func (e *Encoder) Len() int { return len(e.bytes) }

// Path adds a count and the segments of a path.
func (e *Encoder) Path(segments []string) {
	e.U16(uint16(len(segments)))
	for _, segment := range segments {
		e.Str(segment)
	}
}

// frame returns the finished frame.
func (e *Encoder) frame() []byte {
	binary.LittleEndian.PutUint32(e.bytes, uint32(len(e.bytes)-4))
	return e.bytes
}
