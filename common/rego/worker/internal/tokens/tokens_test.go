package tokens

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"notp.core-platform.internal/notp-pdp/internal/frame"
	"notp.core-platform.internal/notp-pdp/internal/tokens/tokenstest"
)

const start = 1_800_000_000 // seconds

const issuer = "https://issuer.example"

// world is a holder with a clock of its own.
type world struct {
	t          *testing.T
	holder     Holder
	wall, boot int64
	lane       frame.Lane
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, wall: start * 1000, boot: 5000}
	w.holder.Clock = func() (int64, int64) { return w.wall, w.boot }
	w.lane = frame.Lane{Name: "main", Revision: 7, Contact: contactHeard, Complete: true, Heard: start * 1000,
		HardSeconds: 900, Trusted: start * 1000, Boot: 5000}
	return w
}

func (w *world) passes(seconds int64) {
	w.wall += seconds * 1000
	w.boot += seconds * 1000
}

// apply replaces one shard of each id among tokens, marks and lists: by files, or by deltas.
func (w *world) apply(whole, delta bool, tokens []tokenstest.Token, marks []tokenstest.Mark, lists []tokenstest.List) {
	w.t.Helper()
	update := frame.Tokens{Whole: whole, Lane: w.lane}
	var files []int
	for kind := range uint8(2) {
		for i := range uint8(shardCount) {
			var these []tokenstest.Token
			var those []tokenstest.Mark
			var them []tokenstest.List
			for _, each := range tokens {
				if kind == frame.ShardTokens && each.ID[0]>>2 == i {
					these = append(these, each)
				}
			}
			for _, each := range marks {
				if kind == frame.ShardTokens && each.ID[0]>>2 == i {
					those = append(those, each)
				}
			}
			for _, each := range lists {
				if kind == frame.ShardLists && each.ID[0]>>2 == i {
					them = append(them, each)
				}
			}
			if these == nil && those == nil && them == nil {
				continue
			}
			content := tokenstest.Segment(these, those, them)
			one := frame.TokenShard{Kind: kind, Index: i, Base: frame.BaseStays, Delta: content}
			if !delta {
				file, err := tokenstest.File(content, false)
				if err != nil {
					w.t.Fatal(err)
				}
				files = append(files, file)
				one.Base, one.Delta = frame.BaseFile, nil
			}
			update.Shards = append(update.Shards, one)
		}
	}
	if err := w.holder.Apply(update, files); err != nil {
		w.t.Fatal(err)
	}
}

// says updates the readout alone.
func (w *world) says(change func(*frame.Lane)) {
	w.t.Helper()
	change(&w.lane)
	if err := w.holder.Apply(frame.Tokens{Lane: w.lane}, nil); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) lookup(token string) string {
	w.t.Helper()
	use := NewUse(&w.holder)
	defer use.End()
	found, err := use.Lookup(token)
	if err != nil {
		w.t.Fatal(err)
	}
	if found == nil {
		return "undefined"
	}
	return text(w.t, found)
}

func (w *world) revoked(of string) bool {
	w.t.Helper()
	use := NewUse(&w.holder)
	defer use.End()
	revoked, err := use.Revoked(ast.MustParseTerm(of).Value)
	if err != nil {
		w.t.Fatal(err)
	}
	return revoked
}

func (w *world) state() string {
	use := NewUse(&w.holder)
	defer use.End()
	return text(w.t, use.Lane())
}

func text(t *testing.T, term *ast.Term) string {
	t.Helper()
	plain, err := ast.JSON(term.Value)
	if err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func living(token string, change func(*tokenstest.Token)) tokenstest.Token {
	t := tokenstest.Token{ID: tokenstest.ID(token), End: start + 60}
	if change != nil {
		change(&t)
	}
	return t
}

func check[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestFind(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, count := range []int{0, 1, 2, 7, 100, 1000, 5000} {
		for _, shape := range []string{"even", "crowded", "other shards"} {
			ids := make([]ID, count)
			for i := range ids {
				binary.BigEndian.PutUint64(ids[i][:], random.Uint64()>>6)
				switch shape {
				case "crowded":
					ids[i][1], ids[i][2] = 0, byte(i%3)
				case "other shards":
					ids[i][0] = byte(random.Uint32())
				}
			}
			slices.SortFunc(ids, func(a, b ID) int { return bytes.Compare(a[:], b[:]) })
			ids = slices.Compact(ids)
			var content []byte
			for _, id := range ids {
				content = append(content, id[:]...)
			}
			for i, id := range ids {
				if at, ok := find(content, &id); !ok || at != i {
					t.Fatalf("%d %s: id %d is at %d (%v)", count, shape, i, at, ok)
				}
				id[15] ^= 1
				if at, ok := find(content, &id); ok {
					t.Fatalf("%d %s: an id that is not there is at %d", count, shape, at)
				}
			}
		}
	}
}

func TestLookup(t *testing.T) {
	w := newWorld(t)
	check(t, "without a lane", w.lookup("a"), "undefined")
	full := living("a", func(t *tokenstest.Token) {
		t.Issuer, t.Client, t.Scope, t.Audience = issuer, "shop", "read write", []string{"api", "b"}
		t.Subject, t.Session = "8b7ee5c2-1f0e-4b0a-9d5c-000102030405", "session 1"
		t.Issued, t.Confirmation = start-10, `{"jkt":"x"}`
	})
	w.apply(true, false, []tokenstest.Token{full, living("plain", nil), {ID: tokenstest.ID("gone"), Kind: 1, End: start + 60}}, nil, nil)
	for range 2 { // the second time with terms that are kept
		check(t, "all members", w.lookup("a"), `{"aud":["api","b"],"client":"shop","cnf":{"jkt":"x"},"exp":1800000060,"iat":1799999990,`+
			`"iss":"https://issuer.example","scope":"read write","sid":"session 1","sub":"8b7ee5c2-1f0e-4b0a-9d5c-000102030405"}`)
	}
	check(t, "no member but exp", w.lookup("plain"), `{"exp":1800000060}`)
	check(t, "unknown", w.lookup("b"), "undefined")
	check(t, "deleted", w.lookup("gone"), "undefined")
	w.apply(false, true, []tokenstest.Token{{ID: full.ID, Kind: 2}, living("b", nil)}, nil, nil)
	check(t, "absent in a delta", w.lookup("a"), "undefined")
	check(t, "of a delta", w.lookup("b"), `{"exp":1800000060}`)
	check(t, "of the file beside it", w.lookup("plain"), `{"exp":1800000060}`)
}

func TestExpiryByTrustedTime(t *testing.T) {
	w := newWorld(t)
	w.apply(true, false, []tokenstest.Token{living("a", nil)}, nil, nil)
	w.passes(59)
	check(t, "a second before", w.lookup("a"), `{"exp":1800000060}`)
	w.passes(1)
	check(t, "at its expiry", w.lookup("a"), "undefined")
	w.wall -= 3600 * 1000
	check(t, "with the clock set back", w.lookup("a"), "undefined")
	w.boot = 5000 + 59_000
	check(t, "time is the later one of both", w.lookup("a"), `{"exp":1800000060}`)
}

func TestMarks(t *testing.T) {
	w := newWorld(t)
	at := func(token string, issued int64) tokenstest.Token {
		return living(token, func(t *tokenstest.Token) {
			t.Issuer, t.Subject, t.Session, t.Issued = issuer, "alice", "s-"+token, issued
		})
	}
	other := at("other", start-20)
	other.Issuer = "https://other.example"
	w.apply(true, false, []tokenstest.Token{at("before", start-11), at("equal", start-10), at("after", start-9), at("session", start-9),
		at("undated", 0), other},
		[]tokenstest.Mark{{ID: tokenstest.MarkID("sub", issuer, "alice"), NotBefore: start - 10},
			{ID: tokenstest.MarkID("sid", issuer, "s-session"), NotBefore: start}}, nil)
	for token, lives := range map[string]bool{"before": false, "equal": false, "after": true, "session": false, "undated": false, "other": true} {
		check(t, token, w.lookup(token) != "undefined", lives)
	}
	claims := func(format string, arguments ...any) bool {
		return w.revoked(fmt.Sprintf(`{"iss": "`+issuer+`", `+format+`}`, arguments...))
	}
	check(t, "iat before", claims(`"sub": "alice", "iat": %d`, start-11), true)
	check(t, "iat equal", claims(`"sub": "alice", "iat": %d`, start-10), true)
	check(t, "iat with a fraction of the same second", claims(`"sub": "alice", "iat": %d.9`, start-10), true)
	check(t, "iat after", claims(`"sub": "alice", "iat": %d`, start-9), false)
	check(t, "no iat", claims(`"sub": "alice"`), true)
	check(t, "iat that is no number", claims(`"sub": "alice", "iat": "x"`), true)
	check(t, "iat that is no time", claims(`"sub": "alice", "iat": 1e300`), true)
	check(t, "iat beyond all times", claims(`"sub": "alice", "iat": 9007199254740993`), true)
	check(t, "another subject", claims(`"sub": "bob", "iat": %d`, start-11), false)
	check(t, "another issuer", w.revoked(`{"iss": "x", "sub": "alice", "iat": 1}`), false)
	check(t, "a session", claims(`"sid": "s-session", "iat": %d`, start), true)
	w.apply(false, true, nil, []tokenstest.Mark{{ID: tokenstest.MarkID("jti", issuer, "j"), NotBefore: 253402300799},
		{ID: tokenstest.MarkID("txn", issuer, "t"), NotBefore: 253402300799}}, nil)
	check(t, "a number", claims(`"jti": "j", "iat": %d`, start+1000), true)
	check(t, "a transaction", claims(`"txn": "t"`), true)
	check(t, "the subject as before", claims(`"sub": "alice", "iat": %d`, start-10), true)
}

func TestRevokedToken(t *testing.T) {
	w := newWorld(t)
	check(t, "without a lane", w.revoked(`"a"`), true)
	w.apply(true, false, []tokenstest.Token{living("a", nil), {ID: tokenstest.ID("gone"), Kind: 1, End: start + 60}}, nil, nil)
	check(t, "living", w.revoked(`"a"`), false)
	check(t, "unknown", w.revoked(`"b"`), false)
	check(t, "deleted", w.revoked(`"gone"`), true)
	check(t, "neither token nor claims", w.revoked(`7`), true)
	w.says(func(lane *frame.Lane) { lane.Complete = false })
	check(t, "never complete", w.revoked(`"b"`), true)
	check(t, "never complete, claims", w.revoked(`{}`), true)
}

func TestLaneStates(t *testing.T) {
	w := newWorld(t)
	check(t, "none", w.state(), `{"mode":"","name":"","revision":0,"state":"unknown"}`)
	w.apply(true, false, []tokenstest.Token{living("a", func(t *tokenstest.Token) { t.End = start + 10_000 })}, nil, nil)
	lane := func(age int, state string) string {
		return fmt.Sprintf(`{"age_s":%d,"mode":"push","name":"main","revision":7,"state":"%s"}`, age, state)
	}
	w.passes(30)
	check(t, "30 s", w.state(), lane(30, "live"))
	w.passes(1)
	check(t, "31 s", w.state(), lane(31, "lagging"))
	w.passes(869)
	check(t, "900 s", w.state(), lane(900, "lagging"))
	check(t, "lookup at 900 s", w.lookup("a") != "undefined", true)
	w.wall++
	check(t, "900.001 s", w.state(), lane(900, "stale"))
	check(t, "lookup of a stale lane", w.lookup("a"), "undefined")
	check(t, "revoked by a stale lane", w.revoked(`"b"`), true)
	w.says(func(lane *frame.Lane) { lane.Serves = true })
	check(t, "lookup of a stale lane that serves", w.lookup("a") != "undefined", true)
	check(t, "revoked by a stale lane that serves", w.revoked(`"b"`), false)
	w.says(func(lane *frame.Lane) { lane.Serves, lane.Contact = false, contactDenied })
	check(t, "denied", w.state(), lane(900, "denied"))
	w.says(func(lane *frame.Lane) { lane.Contact, lane.Heard = contactUnsupported, 0 })
	check(t, "unsupported", w.state(), `{"mode":"push","name":"main","revision":7,"state":"unsupported"}`)
	check(t, "lookup when it was never heard", w.lookup("a"), "undefined")
}

func TestStatusList(t *testing.T) {
	w := newWorld(t)
	const uri = "https://issuer.example/list"
	// The examples of the draft: 0xB9 0xA3 for one bit, 0xC9 0x44 0xF9 for two.
	w.apply(true, false, nil, nil, []tokenstest.List{
		{ID: tokenstest.ID(uri), Until: start + 60, Bits: 1, Statuses: []byte{0xb9, 0xa3}},
		{ID: tokenstest.ID("two"), Until: start + 60, Bits: 2, Statuses: []byte{0xc9, 0x44, 0xf9}},
		{ID: tokenstest.ID("eight"), Until: start + 60, Bits: 8, Statuses: []byte{0, 2}},
	})
	status := func(uri, index string) bool {
		return w.revoked(`{"status": {"status_list": {"uri": "` + uri + `", "idx": ` + index + `}}}`)
	}
	one := []bool{true, false, false, true, true, true, false, true, true, true, false, false, false, true, false, true}
	for i, want := range one {
		check(t, fmt.Sprint("one bit, ", i), status(uri, fmt.Sprint(i)), want)
	}
	two := []int{1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3}
	for i, want := range two {
		check(t, fmt.Sprint("two bits, ", i), status("two", fmt.Sprint(i)), want != 0)
	}
	check(t, "eight bits, valid", status("eight", "0"), false)
	check(t, "eight bits, suspended", status("eight", "1"), true)
	check(t, "an index as 1.0", status(uri, "1.0"), false)
	for _, index := range []string{"16", "-1", "1.5", `"1"`, "1e30", "18446744073709551616", "null"} {
		check(t, "index "+index, status(uri, index), true)
	}
	check(t, "unknown list", status("x", "1"), true)
	check(t, "no reference", w.revoked(`{"status": {"other": 1}}`), false)
	check(t, "a reference that is none", w.revoked(`{"status": {"status_list": 1}}`), true)
	w.passes(60)
	check(t, "at its end", status(uri, "1"), true)
}

func TestOneUseSeesOneTable(t *testing.T) {
	w := newWorld(t)
	w.apply(true, false, []tokenstest.Token{living("a", nil)}, nil, nil)
	use := NewUse(&w.holder)
	if found, err := use.Lookup("a"); found == nil || err != nil {
		t.Fatal(found, err)
	}
	w.lane.Revision = 8
	w.apply(true, false, []tokenstest.Token{living("b", nil)}, nil, nil)
	w.passes(3600)
	if found, _ := use.Lookup("a"); found == nil {
		t.Error("the table or the time of a use changed")
	}
	if found, _ := use.Lookup("b"); found != nil {
		t.Error("a use sees a newer table")
	}
	check(t, "read", use.Read(), Read{"main", 7, "live"})
	check(t, "asked", use.TakeAsked(), true)
	check(t, "asked since", use.TakeAsked(), false)
	use.End()
}

// mappings counts the files of tables in this process's address space.
func mappings(t *testing.T) int {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(maps), "/memfd:tokens")
}

func TestMemoryIsGivenBackWhenNoUseHasIt(t *testing.T) {
	w := newWorld(t)
	before := mappings(t)
	w.apply(true, false, []tokenstest.Token{living("a", nil)}, nil, nil)
	use := NewUse(&w.holder)
	if found, _ := use.Lookup("a"); found == nil {
		t.Fatal("not found")
	}
	for range 10 {
		w.apply(true, false, []tokenstest.Token{living("a", nil)}, nil, nil)
	}
	check(t, "files while one use has an old one", mappings(t)-before, 2)
	use.End()
	check(t, "files afterwards", mappings(t)-before, 1)
	w.says(func(*frame.Lane) {})
	check(t, "files with another readout", mappings(t)-before, 1)
}

func TestUsesAndUpdatesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.apply(true, false, []tokenstest.Token{living("a", nil), living("b", nil)}, nil, nil)
	var group sync.WaitGroup
	for range 4 {
		group.Add(1)
		go func() {
			defer group.Done()
			for range 5000 {
				use := NewUse(&w.holder)
				a, _ := use.Lookup("a")
				b, _ := use.Lookup("b")
				if (a == nil) != (b == nil) {
					t.Error("a use saw half an update")
				}
				use.End()
			}
		}()
	}
	for i := range 500 {
		kind := uint16(i % 2)
		w.apply(true, i%3 == 0, []tokenstest.Token{{ID: tokenstest.ID("a"), Kind: kind, End: start + 60}, {ID: tokenstest.ID("b"), Kind: kind, End: start + 60}}, nil, nil)
	}
	group.Wait()
}

func TestWhatIsRefused(t *testing.T) {
	w := newWorld(t)
	w.apply(true, false, []tokenstest.Token{living("a", nil)}, nil, nil)
	good := tokenstest.Segment([]tokenstest.Token{living("b", nil)}, nil, nil)
	open, err := tokenstest.File(good, true)
	if err != nil {
		t.Fatal(err)
	}
	short, err := tokenstest.File(good[:len(good)-1], false)
	if err != nil {
		t.Fatal(err)
	}
	file := func(base uint8) []frame.TokenShard { return []frame.TokenShard{{Base: base}} }
	before := mappings(t)
	for name, update := range map[string]struct {
		shards []frame.TokenShard
		files  []int
	}{
		"a file that is not sealed": {file(frame.BaseFile), []int{open}},
		"a file that is cut":        {file(frame.BaseFile), []int{short}},
		"no file":                   {file(frame.BaseFile), nil},
		"another kind of base":      {file(9), nil},
		"another kind of shard":     {[]frame.TokenShard{{Kind: 2}}, nil},
		"a shard too many":          {[]frame.TokenShard{{Index: 64}}, nil},
		"a delta that is cut":       {[]frame.TokenShard{{Base: frame.BaseStays, Delta: good[:70]}}, nil},
	} {
		if err := w.holder.Apply(frame.Tokens{Lane: w.lane, Shards: update.shards}, update.files); err == nil {
			t.Errorf("%s was taken", name)
		}
		w.holder.failed = nil // the next case is of another worker
	}
	check(t, "the table as before", w.lookup("a") != "undefined", true)
	check(t, "mappings", mappings(t), before)
}

// The supervisor has sent the frames behind the one that fails.
func TestNothingIsTakenBehindAFrameThatFailed(t *testing.T) {
	w := newWorld(t)
	first := frame.Tokens{Whole: true, More: true, Lane: w.lane, Shards: []frame.TokenShard{{Base: frame.BaseFile}}}
	last := frame.Tokens{Whole: true, Lane: w.lane, Shards: []frame.TokenShard{{Index: tokenstest.ID("a")[0] >> 2,
		Base: frame.BaseNone, Delta: tokenstest.Segment([]tokenstest.Token{living("a", nil)}, nil, nil)}}}
	for _, each := range []frame.Tokens{first, last, last} {
		if err := w.holder.Apply(each, nil); err == nil {
			t.Error("a frame was taken")
		}
	}
	check(t, "a lookup", w.lookup("a"), "undefined")
	use := NewUse(&w.holder)
	defer use.End()
	revoked, err := use.Revoked(ast.String("b"))
	check(t, "revoked", revoked && err == nil, true)
}

func TestFramesOfOneUpdate(t *testing.T) {
	w := newWorld(t)
	w.apply(true, false, []tokenstest.Token{living("a", nil)}, nil, nil)
	next := frame.Tokens{Lane: w.lane, More: true, Shards: []frame.TokenShard{{Index: tokenstest.ID("b")[0] >> 2, Base: frame.BaseStays,
		Delta: tokenstest.Segment([]tokenstest.Token{living("b", nil)}, nil, nil)}}}
	if err := w.holder.Apply(next, nil); err != nil {
		t.Fatal(err)
	}
	check(t, "before the last frame", w.lookup("b"), "undefined")
	w.says(func(*frame.Lane) {})
	check(t, "after it", w.lookup("b") != "undefined", true)
	check(t, "what was there", w.lookup("a") != "undefined", true)
}

func FuzzSegment(f *testing.F) {
	token := living("a", func(t *tokenstest.Token) {
		t.Issuer, t.Subject, t.Audience, t.Confirmation, t.Issued = issuer, "alice", []string{"x"}, `{}`, start
	})
	f.Add(tokenstest.Segment([]tokenstest.Token{token, living("b", nil)}, []tokenstest.Mark{{ID: tokenstest.MarkID("sub", issuer, "alice")}}, nil))
	f.Add(tokenstest.Segment(nil, nil, []tokenstest.List{{ID: tokenstest.ID("a"), Until: start + 9, Bits: 2, Statuses: []byte{7}}}))
	f.Fuzz(func(t *testing.T, content []byte) {
		s, err := parse(content)
		if err != nil {
			return
		}
		all := &table{lane: frame.Lane{Name: "x", Complete: true, Serves: true}, marks: 1}
		all.users.Store(1)
		for kind := range all.shards {
			for i := range all.shards[kind] {
				all.shards[kind][i].base = s
			}
		}
		use := Use{table: all, now: start * 1000}
		for at := 0; at < min(s.tokenCount, 64); at++ {
			id := ID(s.ids[at*idSize:])
			if found, ok, err := all.token(&id); ok && err == nil {
				if r, err := found.open(); err == nil {
					r.object(found.end)
				}
			}
		}
		for at := 0; at < min(s.listCount, 64); at++ {
			id := ID(s.listIDs[at*idSize:])
			if list, ok, err := s.list(&id); ok && err == nil {
				for _, index := range []uint64{0, 1, 1 << 63, uint64(len(list.statuses))*8/uint64(list.bits) - 1} {
					list.at(index)
				}
			}
		}
		_, _ = use.Lookup("a")
		_, _ = use.Revoked(ast.MustParseTerm(`{"iss": "` + issuer + `", "sub": "alice", "status": {"status_list": {"uri": "a", "idx": 1}}}`).Value)
	})
}
