package frame

// Flags of an evaluation.
const (
	FlagStrict           = 1
	FlagNonDeterministic = 2
	FlagMetrics          = 4
	FlagPretty           = 8 // the explanation
	FlagBuiltinErrors    = 16
	FlagInstrument       = 32
	FlagRuleLabels       = 64
	FlagLogRules         = 128
	FlagUnknownKeys      = 256
)

// How an input's text is read: a value alone; the body of POST /v1/data; that of POST /v0/data.
const (
	FormValue         = 0
	FormBody          = 1
	FormBodyYAML      = 2
	FormPlainBody     = 3
	FormPlainBodyYAML = 4
)

// What is explained.
const (
	ExplainOff   = 0
	ExplainNotes = 1
	ExplainFails = 2
	ExplainFull  = 3
	ExplainDebug = 4
)

// What an answer says beside its value.
const (
	AnswerHasInput   = 1
	AnswerRuleExists = 2
)

// Eval is a request to evaluate data.<Path> for each of its inputs.
type Eval struct {
	Time     int64 // ns since 1970; 0: now
	Flags    uint32
	Form     uint8 // of all inputs
	Explain  uint8
	Path     []string
	LogEvent []byte // a JSON object: further members of the decision event; empty: none
	Inputs   []Input
}

// Input is one input; without one, `input` is undefined.
type Input struct {
	Present   bool
	Text      []byte
	Presented []byte // JSON: how often decisions have seen transaction tokens of this input, by txn; empty: none
}

// DecodeEval takes an eval or an eval_batch apart.
func DecodeEval(payload []byte, batch bool) (Eval, error) {
	d := NewDecoder(payload)
	e := d.eval(batch)
	return e, d.End()
}

// Replay is a request to evaluate again what was recorded.
type Replay struct {
	Eval
	// Values below input that the record lacks. With any, the answer is whether the result may depend
	// on them.
	Hidden   [][]string
	Recorded []byte // JSON of the results of non-deterministic built-ins; empty: none
}

// DecodeReplay takes a replay apart.
func DecodeReplay(payload []byte) (Replay, error) {
	d := NewDecoder(payload)
	r := Replay{Eval: d.eval(false)}
	for range d.Count16(2) {
		r.Hidden = append(r.Hidden, d.path())
	}
	r.Recorded = d.Bytes()
	return r, d.End()
}

func (d *Decoder) eval(batch bool) Eval {
	e := Eval{Time: d.I64(), Flags: d.U32(), Form: d.U8(), Explain: d.U8()}
	e.Path = d.path()
	e.LogEvent = d.Bytes()
	count := 1
	if batch {
		count = d.Count(9)
	}
	e.Inputs = make([]Input, 0, count)
	for range count {
		e.Inputs = append(e.Inputs, Input{Presented: d.Bytes(), Present: d.U8() != 0, Text: d.Bytes()})
	}
	return e
}

func (d *Decoder) path() []string {
	n := d.Count16(4)
	path := make([]string, 0, n)
	for range n {
		path = append(path, d.Str())
	}
	return path
}

// Kinds of staged content.
const (
	StageModule   = 1
	StageDocument = 2
	StagePatch    = 3
)

// Stage is content to be kept by its hash.
type Stage struct {
	Kind uint8
	Hash [32]byte
	Base [32]byte // of a patch
	YAML bool     // of a document
	Text []byte   // of a patch: the changes
}

// DecodeStage takes a stage apart.
func DecodeStage(payload []byte) (Stage, error) {
	d := NewDecoder(payload)
	s := Stage{Kind: d.U8(), Hash: d.Hash()}
	switch s.Kind {
	case StageModule:
	case StageDocument:
		s.YAML = d.U8() == 1
	case StagePatch:
		s.Base = d.Hash()
	default:
		if d.err == nil {
			d.err = errKind
		}
	}
	s.Text = d.Bytes()
	return s, d.End()
}

// Activate describes the next snapshot by what differs from a base.
type Activate struct {
	Snapshot, Base uint64
	ModulesGone    []string
	Modules        []Module
	DocumentsGone  []string
	Documents      []Document
	Ledgers        []Ledger
	HasSystem      bool
	IsAccepted     bool // another worker of this program has compiled all of it
	System         []byte
}

// Module is one module of a snapshot.
type Module struct {
	Key      string
	Hash     [32]byte
	Version  uint8 // of Rego: 0 or 1
	Withheld bool
	Ledger   uint16
}

// Document is one document of a snapshot.
type Document struct {
	Key    string
	Mount  []string
	Hash   [32]byte
	Ledger uint16
}

// Ledger has the terms of modules that name it by its index.
type Ledger struct {
	Name         string
	Capabilities []byte // JSON; empty: none
}

// DecodeActivate takes an activate apart.
func DecodeActivate(payload []byte) (Activate, error) {
	d := NewDecoder(payload)
	a := Activate{Snapshot: d.U64(), Base: d.U64()}
	a.ModulesGone = d.keys()
	for range d.Count(40) {
		a.Modules = append(a.Modules, Module{
			Key: d.Str(), Hash: d.Hash(), Version: d.U8(), Withheld: d.U8() != 0, Ledger: d.U16(),
		})
	}
	a.DocumentsGone = d.keys()
	for range d.Count(40) {
		a.Documents = append(a.Documents, Document{Key: d.Str(), Mount: d.path(), Hash: d.Hash(), Ledger: d.U16()})
	}
	for range d.Count(8) {
		a.Ledgers = append(a.Ledgers, Ledger{Name: d.Str(), Capabilities: d.Bytes()})
	}
	a.HasSystem, a.System = d.U8() != 0, d.Bytes()
	a.IsAccepted = d.U8() != 0
	return a, d.End()
}

func (d *Decoder) keys() []string {
	var keys []string
	for range d.Count(4) {
		keys = append(keys, d.Str())
	}
	return keys
}

// DecodeForget takes a forget apart.
func DecodeForget(payload []byte) ([][32]byte, error) {
	d := NewDecoder(payload)
	var hashes [][32]byte
	for range d.Count(32) {
		hashes = append(hashes, d.Hash())
	}
	return hashes, d.End()
}

// DecodeCancel returns the id that a cancel names.
func DecodeCancel(payload []byte) (uint32, error) {
	d := NewDecoder(payload)
	id := d.U32()
	return id, d.End()
}

// Kinds of shards.
const (
	ShardTokens = 0 // and marks
	ShardLists  = 1
)

// What becomes of a shard's file.
const (
	BaseNone  = 0
	BaseFile  = 1 // the next descriptor
	BaseStays = 2
)

// FilesMax is how many descriptors come with one frame.
const FilesMax = 16

// Lane is what the agent knows of its lane. Times are ms.
type Lane struct {
	Name          string
	Revision      uint64
	Contact, Mode uint8
	Complete      bool // the table had all revocations once
	Serves        bool // also while it is stale
	Heard         int64
	HardSeconds   uint64
	Trusted, Boot int64 // a trusted time, and the time since the machine's start then
}

// Tokens is a frame of an update of the lane's table.
type Tokens struct {
	Whole  bool // shards that the update does not name are empty
	More   bool // further frames follow
	Lane   Lane
	Shards []TokenShard
}

// TokenShard replaces one shard.
type TokenShard struct {
	Kind, Index, Base uint8
	Delta             []byte
}

// Flags of Tokens and of its lane.
const (
	tokensWhole  = 1
	tokensMore   = 2
	laneComplete = 1
	laneServes   = 2
)

// DecodeTokens takes an update's frame apart.
func DecodeTokens(payload []byte) (Tokens, error) {
	d := NewDecoder(payload)
	flags := d.U8()
	t := Tokens{Whole: flags&tokensWhole != 0, More: flags&tokensMore != 0}
	t.Lane = Lane{Name: d.Str(), Revision: d.U64(), Contact: d.U8(), Mode: d.U8()}
	flags = d.U8()
	t.Lane.Complete, t.Lane.Serves = flags&laneComplete != 0, flags&laneServes != 0
	t.Lane.Heard, t.Lane.HardSeconds = d.I64(), d.U64()
	t.Lane.Trusted, t.Lane.Boot = d.I64(), d.I64()
	for range d.Count(7) {
		t.Shards = append(t.Shards, TokenShard{Kind: d.U8(), Index: d.U8(), Base: d.U8(), Delta: d.Bytes()})
	}
	return t, d.End()
}

// Files returns how many descriptors come with the frame.
func (t *Tokens) Files() int {
	files := 0
	for _, each := range t.Shards {
		if each.Base == BaseFile {
			files++
		}
	}
	return files
}
