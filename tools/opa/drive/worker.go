package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Operations of the protocol.
const (
	opEval = 1 + iota
	opEvalBatch
	opCancel
	opStage
	opActivate
	opDrop
	opCheck
	opProgress = 11 // the worker's own, with the id of a check that runs
)

type hash = [sha256.Size]byte

// worker is a process and the connection to it.
type worker struct {
	command  *exec.Cmd
	socket   *os.File
	reader   *bufio.Reader
	id       uint32
	snapshot uint64
}

func start(path string, arguments ...string) (*worker, error) {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	theirs := os.NewFile(uintptr(ends[1]), "worker")
	defer theirs.Close()
	if err := syscall.SetNonblock(ends[0], true); err != nil {
		return nil, err
	}
	w := &worker{command: exec.Command(path, arguments...), socket: os.NewFile(uintptr(ends[0]), "supervisor")}
	w.command.ExtraFiles = []*os.File{theirs}
	w.command.Stderr = os.Stderr
	w.reader = bufio.NewReader(w.socket)
	if err := w.command.Start(); err != nil {
		return nil, err
	}
	if _, err := w.read(0); err != nil { // hello
		return nil, err
	}
	return w, nil
}

func (w *worker) stop() {
	w.socket.Close()
	_ = w.command.Process.Kill()
	_ = w.command.Wait()
}

// encoder writes the protocol's values.
type encoder struct{ bytes []byte }

func (e *encoder) u8(v int)     { e.bytes = append(e.bytes, byte(v)) }
func (e *encoder) u16(v int)    { e.bytes = binary.LittleEndian.AppendUint16(e.bytes, uint16(v)) }
func (e *encoder) u32(v int)    { e.bytes = binary.LittleEndian.AppendUint32(e.bytes, uint32(v)) }
func (e *encoder) u64(v uint64) { e.bytes = binary.LittleEndian.AppendUint64(e.bytes, v) }
func (e *encoder) hash(v hash)  { e.bytes = append(e.bytes, v[:]...) }
func (e *encoder) str(v string) { e.u32(len(v)); e.bytes = append(e.bytes, v...) }
func (e *encoder) strs(v []string) {
	for _, each := range v {
		e.str(each)
	}
}

// decoder reads them; what is too short reads as zero and sets bad.
type decoder struct {
	bytes []byte
	bad   bool
}

func (d *decoder) take(n int) []byte {
	if n > len(d.bytes) {
		d.bad = true
		return make([]byte, n)
	}
	taken := d.bytes[:n]
	d.bytes = d.bytes[n:]
	return taken
}

func (d *decoder) u8() byte    { return d.take(1)[0] }
func (d *decoder) u32() uint32 { return binary.LittleEndian.Uint32(d.take(4)) }
func (d *decoder) u64() uint64 { return binary.LittleEndian.Uint64(d.take(8)) }
func (d *decoder) str() string {
	n := d.u32()
	if int64(n) > int64(len(d.bytes)) {
		d.bad = true
		return ""
	}
	return string(d.take(int(n)))
}

// failure is an answer with status 1.
type failure struct{ code, message string }

func (f *failure) Error() string { return f.code + ": " + f.message }

func (w *worker) write(operation int, payload []byte) error {
	w.id++
	frame := encoder{}
	frame.u32(5 + len(payload))
	frame.u32(int(w.id))
	frame.u8(operation)
	_, err := w.socket.Write(append(frame.bytes, payload...))
	return err
}

const patience = 30 * time.Second

func (w *worker) read(id uint32) (*decoder, error) {
	if err := w.socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	for {
		var head [4]byte
		if _, err := io.ReadFull(w.reader, head[:]); err != nil {
			return nil, err
		}
		frame := make([]byte, binary.LittleEndian.Uint32(head[:]))
		if _, err := io.ReadFull(w.reader, frame); err != nil {
			return nil, err
		}
		d := &decoder{bytes: frame}
		if got := d.u32(); got != id {
			return nil, fmt.Errorf("the answer is to %d, not to %d", got, id)
		}
		if d.u8() != opProgress {
			return d, nil
		}
	}
}

// ask sends a request and waits for its answer. An error of the answer is a *failure.
func (w *worker) ask(operation int, payload []byte) (*decoder, error) {
	if err := w.write(operation, payload); err != nil {
		return nil, err
	}
	d, err := w.read(w.id)
	if err != nil {
		return nil, err
	}
	if d.u8() != 0 {
		return nil, &failure{code: d.str(), message: d.str()}
	}
	return d, nil
}

func asFailure(err error) *failure {
	var failed *failure
	if errors.As(err, &failed) {
		return failed
	}
	return nil
}

func (w *worker) stageModule(text string) (hash, error) {
	h := sha256.Sum256([]byte(text))
	e := encoder{}
	e.u8(1)
	e.hash(h)
	e.str(text)
	return h, w.write(opStage, e.bytes)
}

func (w *worker) stageDocument(text []byte) (hash, error) {
	h := sha256.Sum256(text)
	e := encoder{}
	e.u8(2)
	e.hash(h)
	e.u8(0)
	e.str(string(text))
	return h, w.write(opStage, e.bytes)
}

func (w *worker) stagePatch(result, base hash, changes []byte) error {
	e := encoder{}
	e.u8(3)
	e.hash(result)
	e.hash(base)
	e.str(string(changes))
	return w.write(opStage, e.bytes)
}

type activeModule struct {
	key     string
	hash    hash
	version int
}

type activeDocument struct {
	key   string
	mount []string
	hash  hash
}

// activate makes the next snapshot, from nothing or from the last one.
func (w *worker) activate(fromNothing bool, modules []activeModule, documents []activeDocument, capabilities string) error {
	base := w.snapshot
	if fromNothing {
		base = 0
	}
	next := w.snapshot + 1
	e := encoder{}
	e.u64(next)
	e.u64(base)
	e.u32(0)
	e.u32(len(modules))
	for _, m := range modules {
		e.str(m.key)
		e.hash(m.hash)
		e.u8(m.version)
		e.u8(0)
		e.u16(0)
	}
	e.u32(0)
	e.u32(len(documents))
	for _, d := range documents {
		e.str(d.key)
		e.u16(len(d.mount))
		e.strs(d.mount)
		e.hash(d.hash)
		e.u16(0)
	}
	e.u32(1)
	e.str("ledger")
	e.str(capabilities)
	e.u8(0)
	e.str("")
	e.u8(0)
	_, err := w.ask(opActivate, e.bytes)
	if err == nil {
		w.snapshot = next
	}
	return err
}

// evaluate asks for the value of a path. `input` nil: none.
func (w *worker) evaluate(path []string, input []byte, timeNs int64, flags int) (value string, defined bool, err error) {
	e := encoder{}
	e.u64(uint64(timeNs))
	e.u32(flags)
	e.u16(len(path))
	e.strs(path)
	if input == nil {
		e.u8(0)
	} else {
		e.u8(1)
	}
	e.str(string(input))
	d, err := w.ask(opEval, e.bytes)
	if err != nil {
		return "", false, err
	}
	d.u64()
	defined = d.u8() == 1
	value = d.str()
	d.u64()
	d.u64()
	d.str()
	if d.bad || len(d.bytes) > 0 {
		return "", false, errors.New("an answer with another layout")
	}
	return value, defined, nil
}

func (w *worker) drop() error {
	_, err := w.ask(opDrop, nil)
	return err
}

func (w *worker) check(request []byte) (string, error) {
	e := encoder{}
	e.str(string(request))
	d, err := w.ask(opCheck, e.bytes)
	if err != nil {
		return "", err
	}
	return d.str(), nil
}
