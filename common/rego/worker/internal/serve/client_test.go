package serve

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"notp.core-platform.internal/notp-pdp/internal/frame"
	"notp.core-platform.internal/notp-pdp/internal/snapshot"
)

// client is a supervisor: it sends requests and gives each answer to who waits for its id.
type client struct {
	t          testing.TB
	connection net.Conn
	writer     *frame.Writer
	worker     *Worker // nil: it is in another process

	mutex   sync.Mutex
	next    uint32
	waiting map[uint32]chan []byte
	steps   chan string // of checks: tests that begin and end
	hello   chan []byte
	ended   chan error
}

// connect starts a worker in this process behind a socket pair.
func connect(t testing.TB, options Options) *client {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := connectionOf(t, pair[0]), connectionOf(t, pair[1])
	if options.InFlight == 0 {
		options.InFlight = 6
	}
	if options.Snapshot == (snapshot.Options{}) {
		options.Snapshot = snapshot.Options{ResultMax: 64 << 20, UnitBytesMax: 8 << 20, Threads: 2}
	}
	options.Version = "test"
	c := newClient(t, ours)
	c.worker = New(theirs, options)
	go func() {
		err := c.worker.Serve(theirs)
		theirs.Close()
		c.ended <- err
	}()
	<-c.hello
	return c
}

func newClient(t testing.TB, connection net.Conn) *client {
	c := &client{
		t: t, connection: connection, writer: frame.NewWriter(connection),
		waiting: map[uint32]chan []byte{}, hello: make(chan []byte, 1), steps: make(chan string, 64), ended: make(chan error, 1),
	}
	go c.read()
	t.Cleanup(func() { connection.Close() })
	return c
}

func connectionOf(t testing.TB, descriptor int) net.Conn {
	file := os.NewFile(uintptr(descriptor), "pair")
	defer file.Close()
	connection, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	return connection
}

func (c *client) read() {
	reader := frame.NewReader(c.connection)
	for {
		answer, err := reader.Read()
		if err != nil {
			return
		}
		if answer.Operation == frame.OpHello {
			c.hello <- answer.Payload
			continue
		}
		if answer.Operation == frame.OpProgress {
			step := frame.NewDecoder(answer.Payload)
			c.steps <- fmt.Sprintf("%d %s:%d %s", step.U8(), step.Str(), step.U32(), step.Str())
			continue
		}
		c.mutex.Lock()
		done := c.waiting[answer.ID]
		delete(c.waiting, answer.ID)
		c.mutex.Unlock()
		if done != nil {
			done <- answer.Payload
		}
	}
}

// send sends a request and returns where its answer will be.
func (c *client) send(operation uint8, fill func(*frame.Encoder)) (uint32, chan []byte) {
	c.mutex.Lock()
	c.next++
	id, done := c.next, make(chan []byte, 1)
	c.waiting[id] = done
	c.mutex.Unlock()
	request := frame.NewRequest(id, operation)
	fill(request)
	c.writer.Send(request)
	return id, done
}

func (c *client) call(operation uint8, fill func(*frame.Encoder)) *reply {
	_, done := c.send(operation, fill)
	return replyOf(<-done)
}

// reply is an answer: an error, or what the decoder has.
type reply struct {
	*frame.Decoder
	code, message, details, extras string
}

func replyOf(payload []byte) *reply {
	r := &reply{Decoder: frame.NewDecoder(payload)}
	if r.U8() != 0 {
		r.code, r.message, r.details, r.extras = r.Str(), r.Str(), r.Str(), r.Str()
	}
	return r
}

func (c *client) stageModule(hash [32]byte, text string) {
	c.send(frame.OpStage, func(e *frame.Encoder) {
		e.U8(frame.StageModule)
		e.Hash(hash)
		e.Str(text)
	})
}

func (c *client) stageDocument(hash [32]byte, text string) {
	c.send(frame.OpStage, func(e *frame.Encoder) {
		e.U8(frame.StageDocument)
		e.Hash(hash)
		e.U8(0)
		e.Str(text)
	})
}

func number(n uint64) (hash [32]byte) {
	binary.LittleEndian.PutUint64(hash[:], n)
	return hash
}

// state is a whole snapshot for activate.
type state struct {
	number, base uint64
	modules      map[string][32]byte
	documents    map[string][32]byte // mounted at [key]
	gone         []string
	system       string
	isAccepted   bool
}

func (s state) encode(e *frame.Encoder) {
	e.U64(s.number)
	e.U64(s.base)
	e.U32(uint32(len(s.gone)))
	for _, key := range s.gone {
		e.Str(key)
	}
	e.U32(uint32(len(s.modules)))
	for key, hash := range s.modules {
		e.Str(key)
		e.Hash(hash)
		e.U8(1)
		e.U8(0)
		e.U16(0)
	}
	e.U32(0)
	e.U32(uint32(len(s.documents)))
	for key, hash := range s.documents {
		e.Str(key)
		e.Path([]string{key})
		e.Hash(hash)
		e.U16(0)
	}
	e.U32(1)
	e.Str("main")
	e.Str("")
	if s.system == "" {
		e.U8(0)
	} else {
		e.U8(1)
	}
	e.Str(s.system)
	if s.isAccepted {
		e.U8(1)
	} else {
		e.U8(0)
	}
}

func (c *client) activate(s state) *reply { return c.call(frame.OpActivate, s.encode) }

func evalRequest(path []string, input string) func(*frame.Encoder) {
	return func(e *frame.Encoder) {
		e.I64(0)
		e.U32(0)
		e.U8(frame.FormValue)
		e.U8(frame.ExplainOff)
		e.Path(path)
		e.Str("")
		e.Str("")
		if input == "" {
			e.U8(0)
		} else {
			e.U8(1)
		}
		e.Str(input)
	}
}

// eval returns the value, "undefined" or the error's code.
func (c *client) eval(path []string, input string) string {
	return valueOf(c.call(frame.OpEval, evalRequest(path, input)))
}

func valueOf(r *reply) string {
	if r.code != "" {
		return r.code
	}
	r.U64()
	outcome := r.U8()
	r.U8()
	if outcome == 0 {
		return "undefined"
	}
	return r.Str()
}
