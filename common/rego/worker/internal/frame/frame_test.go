package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"reflect"
	"sync"
	"testing"
)

func activateFrame() []byte {
	e := NewRequest(7, OpActivate)
	e.U64(2)
	e.U64(1)
	e.U32(1)
	e.Str("gone.rego")
	e.U32(1)
	e.Str("a.rego")
	e.Hash([32]byte{1})
	e.U8(1)
	e.U8(1)
	e.U16(3)
	e.U32(0)
	e.U32(1)
	e.Str("d.json")
	e.Path([]string{"a", "b"})
	e.Hash([32]byte{2})
	e.U16(4)
	e.U32(1)
	e.Str("ledger")
	e.Str(`{"allow":[]}`)
	e.U8(1)
	e.Str("{}")
	e.U8(1)
	return e.frame()
}

func evalFrame(inputs ...string) []byte {
	e := NewRequest(8, OpEval)
	e.I64(-5)
	e.U32(FlagStrict | FlagPretty | FlagLogRules)
	e.U8(FormBodyYAML)
	e.U8(ExplainDebug)
	e.Path([]string{"a", ""})
	e.Str(`{"labels":{}}`)
	if len(inputs) != 1 {
		e.U32(uint32(len(inputs)))
	}
	for _, input := range inputs {
		e.Str(`{"t":2}`)
		e.U8(1)
		e.Str(input)
	}
	return e.frame()
}

func read(t *testing.T, frame []byte) Frame {
	t.Helper()
	f, err := NewReader(bytes.NewReader(frame)).Read()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestMessages(t *testing.T) {
	f := read(t, activateFrame())
	a, err := DecodeActivate(f.Payload)
	want := Activate{
		Snapshot: 2, Base: 1, ModulesGone: []string{"gone.rego"},
		Modules:   []Module{{Key: "a.rego", Hash: [32]byte{1}, Version: 1, Withheld: true, Ledger: 3}},
		Documents: []Document{{Key: "d.json", Mount: []string{"a", "b"}, Hash: [32]byte{2}, Ledger: 4}},
		Ledgers:   []Ledger{{Name: "ledger", Capabilities: []byte(`{"allow":[]}`)}},
		HasSystem: true, System: []byte("{}"), IsAccepted: true,
	}
	if err != nil || f.ID != 7 || f.Operation != OpActivate || !reflect.DeepEqual(a, want) {
		t.Errorf("activate %+v, %v", a, err)
	}
	for inputs, batch := range map[int]bool{1: false, 3: true} {
		texts := []string{"1", "[2]", "3"}[:inputs]
		e, err := DecodeEval(read(t, evalFrame(texts...)).Payload, batch)
		if err != nil || e.Time != -5 || e.Flags != 137 || string(e.LogEvent) != `{"labels":{}}` || e.Form != FormBodyYAML || e.Explain != ExplainDebug || !reflect.DeepEqual(e.Path, []string{"a", ""}) || len(e.Inputs) != inputs || string(e.Inputs[0].Text) != "1" || string(e.Inputs[0].Presented) != `{"t":2}` {
			t.Errorf("eval %+v, %v", e, err)
		}
	}
}

// TestShortAndLongPayloads cuts and lengthens a payload everywhere.
func TestShortAndLongPayloads(t *testing.T) {
	payload := activateFrame()[9:]
	for n := range payload {
		if _, err := DecodeActivate(payload[:n]); err == nil {
			t.Errorf("%d of %d bytes are an activate", n, len(payload))
		}
	}
	if _, err := DecodeActivate(append(payload, 0)); err == nil {
		t.Error("a byte too many is accepted")
	}
	counts := binary.LittleEndian.AppendUint32(make([]byte, 16), 1<<32-1)
	if _, err := DecodeActivate(counts); !errors.Is(err, errShort) {
		t.Errorf("a count without items: %v", err)
	}
}

func TestReaderRefusesWrongLengths(t *testing.T) {
	for _, length := range []uint32{0, 4, LengthMax + 1, 1<<32 - 1} {
		frame := binary.LittleEndian.AppendUint32(nil, length)
		frame = append(frame, make([]byte, 64)...)
		if _, err := NewReader(bytes.NewReader(frame)).Read(); err == nil || err == io.EOF {
			t.Errorf("a frame of %d bytes: %v", length, err)
		}
	}
	// A length is only believed as far as bytes arrive.
	frame := binary.LittleEndian.AppendUint32(nil, LengthMax)
	if _, err := NewReader(bytes.NewReader(append(frame, 1, 2, 3, 4, 5, 6))).Read(); err != io.ErrUnexpectedEOF {
		t.Errorf("a frame that ends: %v", err)
	}
	if _, err := NewReader(bytes.NewReader(nil)).Read(); err != io.EOF {
		t.Errorf("the end: %v", err)
	}
	large := bytes.Repeat([]byte{7}, 9<<20)
	e := NewRequest(1, OpStage)
	e.Bytes(large)
	if f := read(t, e.frame()); !bytes.Equal(NewDecoder(f.Payload).Bytes(), large) {
		t.Error("a large frame came out differently")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(uint8(OpActivate), activateFrame()[9:])
	f.Add(uint8(OpEval), evalFrame("1")[9:])
	f.Add(uint8(OpEvalBatch), evalFrame("1", "2")[9:])
	f.Add(uint8(OpStage), append([]byte{StagePatch}, make([]byte, 80)...))
	f.Add(uint8(OpForget), make([]byte, 36))
	f.Add(uint8(OpCancel), make([]byte, 4))
	f.Fuzz(func(t *testing.T, operation uint8, payload []byte) {
		if eval, err := DecodeEval(payload, operation&1 == 0); err == nil && operation&1 == 1 && len(eval.Inputs) != 1 {
			t.Error("an eval without its input")
		}
		activate, err := DecodeActivate(payload)
		if err == nil && len(activate.Modules)*40 > len(payload) {
			t.Error("more modules than bytes")
		}
		if stage, err := DecodeStage(payload); err == nil && (stage.Kind < StageModule || stage.Kind > StagePatch) {
			t.Error("an unknown kind")
		}
		if hashes, err := DecodeForget(payload); err == nil && len(hashes)*32+4 != len(payload) {
			t.Error("hashes that are not there")
		}
		_, _ = DecodeCancel(payload)
		reader := NewReader(bytes.NewReader(payload))
		for {
			if _, err := reader.Read(); err != nil {
				break
			}
		}
	})
}

// slowSink counts writes and lets one wait.
type slowSink struct {
	net.Conn
	mutex  sync.Mutex
	begun  chan bool
	gate   chan bool
	writes int
	bytes  bytes.Buffer
}

func (s *slowSink) Write(p []byte) (int, error) {
	s.begun <- true
	<-s.gate
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.writes++
	return s.bytes.Write(p)
}

func TestFramesOfOneMomentLeaveTogether(t *testing.T) {
	sink := &slowSink{begun: make(chan bool, 100), gate: make(chan bool, 100)}
	w := NewWriter(sink)
	var group sync.WaitGroup
	group.Go(func() { w.Send(NewAnswer(0, OpStats)) })
	<-sink.begun // the first write is under way
	for id := range uint32(50) {
		w.Send(NewAnswer(id+1, OpStats))
	}
	for range 100 {
		sink.gate <- true
	}
	group.Wait()
	if sink.writes != 2 {
		t.Errorf("51 frames took %d writes, want 2", sink.writes)
	}
	reader := NewReader(&sink.bytes)
	for id := range uint32(51) {
		if f, err := reader.Read(); err != nil || f.ID != id {
			t.Errorf("frame %d: %+v, %v", id, f, err)
		}
	}
}

type brokenSink struct{}

func (brokenSink) Write([]byte) (int, error) { return 0, errors.New("broken") }

func TestABrokenConnectionIsLeftAlone(t *testing.T) {
	w := NewWriter(brokenSink{})
	w.Send(NewHello("1"))
	w.Send(NewError(1, OpEval, "code", "message", nil, nil))
	if len(w.waiting) != 0 || w.err == nil {
		t.Errorf("%d frames wait for a connection that is broken (%v)", len(w.waiting), w.err)
	}
}
