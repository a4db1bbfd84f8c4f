package snapshot

import (
	"strings"
	"testing"
	"time"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/frame"
	"notp.core-platform.internal/notp-pdp/internal/tokens"
	"notp.core-platform.internal/notp-pdp/internal/tokens/tokenstest"
)

const txnPolicy = "package gate\n\nsub := data.system.notp.txn.verify(input.token).sub\n\n" +
	"first if data.system.notp.txn.presented(data.system.notp.txn.verify(input.token)) == 0\n"

func (w *world) sub(token string) string {
	return string(w.evaluate("gate/sub", tokenInput(token), 0).Value)
}

func TestVerifiedTokensAreRememberedForOneSnapshot(t *testing.T) {
	old, next := newTxnKey("old"), newTxnKey("next")
	w := txnWorld(t, txnSet(old), map[string]string{"gate.rego": txnPolicy})
	token := old.token(nil)
	for range 3 {
		if got := w.sub(token); got != `"d084sdrt234fsaw34tr23t"` {
			t.Fatal(got)
		}
	}
	if got := w.engine.memo.Forget(); got != 1 {
		t.Errorf("%d tokens are remembered, want 1", got)
	}
	// What is refused is not remembered, however often.
	for _, change := range []func(header, claims map[string]any){
		func(header, _ map[string]any) { header["typ"] = "at+jwt" },
		func(_, claims map[string]any) { claims["aud"] = "other.example" },
		func(_, claims map[string]any) { claims["exp"] = time.Now().Unix() - 1 },
	} {
		if got := w.sub(old.token(change)); got != "" {
			t.Errorf("taken: %s", got)
		}
	}
	if got := w.engine.memo.Forget(); got != 0 {
		t.Errorf("%d tokens are remembered, want 0", got)
	}
	// The key goes: so does what it verified.
	w.sub(token)
	w.activate(release{documents: map[string]string{"keys/txn": txnSet(next)}})
	if got := w.sub(token); got != "" {
		t.Errorf("a token of a key that was removed is taken: %s", got)
	}
	if got := w.sub(next.token(nil)); got == "" {
		t.Error("a token of the new key is refused")
	}
}

func TestARememberedTokenExpires(t *testing.T) {
	key := newTxnKey("k")
	w := txnWorld(t, txnSet(key), map[string]string{"gate.rego": txnPolicy})
	token := key.token(nil)
	if w.sub(token) == "" {
		t.Fatal("refused")
	}
	at := func(seconds int64) string {
		question := ask("gate/sub", tokenInput(token), 0)
		question.Time = (time.Now().Unix() + seconds) * 1e9
		return string(w.engine.Evaluate(question, &builtin.Meter{}).Outcomes[0].Value)
	}
	if at(290) == "" || at(301) != "" || at(-40) != "" || at(-20) == "" {
		t.Error(at(290), at(301), at(-40), at(-20))
	}
}

// A policy that replaces something by `with` must neither see what others verified nor give them anything.
func TestReplacedRulesAndFunctionsRememberNothing(t *testing.T) {
	key, foreign := newTxnKey("k"), newTxnKey("k")
	w := txnWorld(t, txnSet(key), map[string]string{
		"gate.rego": txnPolicy,
		"bad.rego": "package bad\n\nfake(_, _) := [true, {}, {\"aud\": \"domain.example\", \"sub\": \"root\", \"txn\": \"t\", \"scope\": \"s\"," +
			" \"req_wl\": \"w\", \"iat\": 1, \"exp\": 4}]\n\n" +
			"keys := sub if sub := data.system.notp.txn.verify(input.token).sub with data.keys.txn as input.set\n\n" +
			"jwt := sub if sub := data.system.notp.txn.verify(input.token).sub with io.jwt.decode_verify as fake with time.now_ns as 2000000000\n",
	})
	token := foreign.token(nil)
	input := strings.TrimSuffix(tokenInput(token), "}") + `, "set": ` + txnSet(foreign) + "}"
	for _, path := range []string{"bad/keys", "bad/jwt"} {
		if outcome := w.evaluate(path, input, 0); !outcome.Defined {
			t.Errorf("data.%s is undefined (%v): nothing was replaced", path, outcome.Failure)
		}
		if got := w.sub(token); got != "" {
			t.Errorf("after data.%s another policy takes a token of a foreign key: %s", path, got)
		}
	}
	if got := w.engine.memo.Forget(); got != 0 {
		t.Errorf("%d tokens are remembered, want 0", got)
	}
	// And not the other way round.
	good := key.token(nil)
	w.sub(good)
	if outcome := w.evaluate("bad/keys", strings.Replace(input, token, good, 1), 0); outcome.Defined {
		t.Error("a replaced set of keys takes what another one verified")
	}
}

// The rules for the log are evaluated after a decision, in a unit of their own.
func TestWhatRulesForTheLogReplaceIsNotRemembered(t *testing.T) {
	key, foreign := newTxnKey("k"), newTxnKey("k")
	w := txnWorld(t, txnSet(key), map[string]string{
		"gate.rego": txnPolicy,
		"log.rego": "package system.log\n\nmask contains \"/input/token\" if " +
			"data.system.notp.txn.verify(input.input.token) with data.keys.txn as input.input.set\n",
	})
	token := foreign.token(nil)
	input := strings.TrimSuffix(tokenInput(token), "}") + `, "set": ` + txnSet(foreign) + "}"
	request := ask("gate/sub", input, frame.FlagLogRules)
	for range 2 {
		outcome := w.engine.Evaluate(request, &builtin.Meter{}).Outcomes[0]
		if outcome.Defined {
			t.Fatalf("a token of a foreign key is taken: %s", outcome.Value)
		}
		if got := memberOf(t, outcome.Extras, "log"); !strings.Contains(got, "/input/token") {
			t.Fatalf("the mask does not take the token by its own keys: %s", got)
		}
	}
	if got := w.engine.memo.Forget(); got != 0 {
		t.Errorf("%d tokens are remembered, want 0", got)
	}
}

func TestVerifiedTokensAreRecordedAndReplayed(t *testing.T) {
	key := newTxnKey("k")
	w := txnWorld(t, txnSet(key), map[string]string{"gate.rego": txnPolicy})
	token := key.token(nil)
	id := `{"token": {"id": "` + tokens.IDText(token) + `"}, "sub": "x"}`
	for _, what := range []string{"verified", "remembered"} {
		outcome := w.evaluate("gate/sub", tokenInput(token), frame.FlagNonDeterministic)
		if strings.Contains(string(outcome.Extras), token[strings.LastIndex(token, ".")+1:]) {
			t.Errorf("%s: the signature is recorded: %s", what, outcome.Extras)
		}
		recorded := memberOf(t, outcome.Extras, "nd_builtin_cache")
		stripped := token[:strings.LastIndex(token, ".")+1]
		later := (time.Now().Unix() + 10_000) * 1e9 // a replay looks at no clock of its own
		for _, input := range []string{tokenInput(token), tokenInput(stripped), id} {
			if again := w.replay("gate/sub", input, recorded, later); string(again.Value) != string(outcome.Value) {
				t.Errorf("%s: replayed with %s: %s (%v), want %s", what, input, again.Value, again.Failure, outcome.Value)
			}
		}
	}
	// One that was refused stays so.
	bad := key.token(func(header, _ map[string]any) { header["typ"] = "JWT" })
	recorded := memberOf(t, w.evaluate("gate/sub", tokenInput(bad), frame.FlagNonDeterministic).Extras, "nd_builtin_cache")
	if again := w.replay("gate/sub", tokenInput(bad), recorded, 1); again.Defined || again.Failure != nil {
		t.Errorf("a refused token is replayed as %s (%v)", again.Value, again.Failure)
	}
}

// The lane is asked for each decision, and is in its record.
func TestWhatTheLaneRevokesIsNotRemembered(t *testing.T) {
	key := newTxnKey("k")
	module := txnModuleOf(t, "\tdata.system.notp.tokens.revoked(claims) == false\n", "true")
	w := txnWorldOf(t, module, txnSet(key), map[string]string{"gate.rego": txnPolicy,
		"tokens.rego": "package system.notp.tokens\n\nrevoked(of) := notp.tokens.revoked(of)\n"})
	now := time.Now().UnixMilli()
	holder := &tokens.Holder{Clock: func() (int64, int64) { return now, 0 }}
	apply := func(transaction string) {
		id := tokenstest.MarkID("txn", "https://tts.example", transaction)
		update := frame.Tokens{
			Lane: frame.Lane{Name: "main", Revision: 9, Contact: 1, Complete: true, Heard: now, HardSeconds: 9},
			Shards: []frame.TokenShard{{Index: id[0] >> 2, Base: frame.BaseStays,
				Delta: tokenstest.Segment(nil, []tokenstest.Mark{{ID: id, NotBefore: now}}, nil)}},
		}
		if err := holder.Apply(update, nil); err != nil {
			t.Fatal(err)
		}
	}
	token := key.token(nil)
	if got := w.sub(token); got != "" {
		t.Errorf("without a lane a token is taken: %s", got)
	}
	apply("another")
	for _, what := range []string{"verified", "remembered"} {
		value, recorded, lane := w.inLane(holder, "gate/sub", tokenInput(token))
		if value != `"d084sdrt234fsaw34tr23t"` || lane != `{"name":"main","revision":9,"state":"live"}` {
			t.Errorf("%s: %s, with the lane %s", what, value, lane)
		}
		if again := w.replay("gate/sub", tokenInput(token), recorded, now*1e6); string(again.Value) != value {
			t.Errorf("%s: replayed as %s (%v)", what, again.Value, again.Failure)
		}
	}
	apply("97053963-771d-49cc-a4e3-20aad399c312")
	if value, _, _ := w.inLane(holder, "gate/sub", tokenInput(token)); value != "" || w.engine.memo.Forget() != 1 {
		t.Errorf("a revoked token that is remembered is taken: %s", value)
	}
}

func TestPresentationsAreThoseOfTheInput(t *testing.T) {
	key := newTxnKey("k")
	w := txnWorld(t, txnSet(key), map[string]string{"gate.rego": txnPolicy})
	question := ask("gate/first", "", 0)
	question.Inputs = nil
	text := []byte(tokenInput(key.token(nil)))
	for _, counts := range []string{`{"97053963-771d-49cc-a4e3-20aad399c312":0}`, `{"97053963-771d-49cc-a4e3-20aad399c312":1}`, "", `{"x":0}`} {
		question.Inputs = append(question.Inputs, frame.Input{Present: true, Text: text, Presented: []byte(counts)})
	}
	var got []bool
	for _, outcome := range w.engine.Evaluate(question, &builtin.Meter{}).Outcomes {
		got = append(got, outcome.Defined)
	}
	if want := []bool{true, false, false, false}; len(got) != 4 || got[0] != want[0] || got[1] || got[2] || got[3] {
		t.Errorf("first presentations: %v, want %v", got, want)
	}
}

// BenchmarkTxnVerify compares a decision that verifies a token with one that does not, and with one that
// calls io.jwt.decode_verify alone: of the usual form, of another one, which the module's rules verify, with
// a wrong signature, and remembered.
func BenchmarkTxnVerify(b *testing.B) {
	key := newTxnKey("k")
	w := txnWorld(b, txnSet(key), map[string]string{
		"plain.rego": "package plain\n\nallow if {\"iss\": input.token, \"sub\": \"d084sdrt234fsaw34tr23t\"}.sub == input.sub\n",
		"jwt.rego": "package jwt\n\nallow if {\n\t[valid, _, claims] := io.jwt.decode_verify(input.token, {\"cert\": json.marshal(data.keys.txn), \"aud\": \"domain.example\"})\n" +
			"\tvalid\n\tclaims.sub == input.sub\n}\n",
		"txn.pol": "package txn\n\nallow if data.system.notp.txn.verify(input.token).sub == input.sub\n",
	})
	usual := key.token(nil)
	other := key.token(func(_, claims map[string]any) { claims["nbf"] = claims["iat"] })
	forged := usual[:len(usual)-8] + "AAAAAAAA"
	for _, each := range []struct {
		name, path, token, want string
		forgets                 bool
	}{
		{"plain", "plain/allow", usual, "true", false}, {"decode_verify", "jwt/allow", usual, "true", false},
		{"usual", "txn/allow", usual, "true", true}, {"other", "txn/allow", other, "true", true},
		{"forged", "txn/allow", forged, "", false}, {"remembered", "txn/allow", usual, "true", false},
	} {
		b.Run(each.name, func(b *testing.B) {
			question := ask(each.path, tokenInput(each.token), 0)
			b.ReportAllocs()
			for range b.N {
				if each.forgets {
					w.engine.memo.Forget()
				}
				if outcome := w.engine.Evaluate(question, &builtin.Meter{}).Outcomes[0]; string(outcome.Value) != each.want || outcome.Failure != nil {
					b.Fatal(outcome)
				}
			}
		})
	}
}
