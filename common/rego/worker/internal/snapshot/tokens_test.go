package snapshot

import (
	"strings"
	"testing"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/frame"
	"notp.core-platform.internal/notp-pdp/internal/tokens"
	"notp.core-platform.internal/notp-pdp/internal/tokens/tokenstest"
	"notp.core-platform.internal/notp-pdp/internal/unit"
)

const lanePolicy = `package lane

found := notp.tokens.lookup(input.token).sub

same := [notp.tokens.lookup(token).sub | some token in [input.token, input.token]]

missing if not notp.tokens.lookup(input.token)

again if {
	not notp.tokens.lookup(input.token)
	not notp.tokens.lookup(input.token)
}

revoked := [notp.tokens.revoked(input.token), notp.tokens.revoked(input.claims)]

state := notp.tokens.lane().state
`

const laneJWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"

// laneWorld has a lane in which two tokens live.
func laneWorld(t *testing.T) (*world, *tokens.Holder) {
	w := newWorld(t)
	w.ledgers = []frame.Ledger{{Name: "main", Capabilities: []byte(`{"allow": ["` + strings.Join(unit.Internal, `","`) + `"]}`)}}
	w.activate(release{modules: map[string]string{"lane.rego": lanePolicy}})
	holder := &tokens.Holder{Clock: func() (int64, int64) { return 1_000_000, 0 }}
	for _, token := range []string{"opaque", laneJWT} {
		id := tokenstest.ID(token)
		update := frame.Tokens{
			Lane: frame.Lane{Name: "main", Revision: 9, Contact: 1, Complete: true, Heard: 1_000_000, HardSeconds: 9},
			Shards: []frame.TokenShard{{Index: id[0] >> 2, Base: frame.BaseStays, Delta: tokenstest.Segment(
				[]tokenstest.Token{{ID: id, End: 2000, Subject: "alice"}}, nil, nil)}},
		}
		if err := holder.Apply(update, nil); err != nil {
			t.Fatal(err)
		}
	}
	return w, holder
}

// inLane evaluates as a node does.
func (w *world) inLane(holder *tokens.Holder, path, input string) (value, recorded, lane string) {
	w.t.Helper()
	meter := &builtin.Meter{Tokens: tokens.NewUse(holder)}
	defer meter.Tokens.End()
	decision := w.engine.Evaluate(ask(path, input, frame.FlagNonDeterministic), meter)
	if decision.Failure != nil || decision.Outcomes[0].Failure != nil {
		w.t.Fatal(decision.Failure, decision.Outcomes)
	}
	extras := decision.Outcomes[0].Extras
	if strings.Contains(string(extras), "opaque") || strings.Contains(string(extras), "eyJ") {
		w.t.Errorf("a token is recorded: %s", extras)
	}
	return string(decision.Outcomes[0].Value), memberOf(w.t, extras, "nd_builtin_cache"), memberOf(w.t, extras, "lane")
}

func TestLookupsAreRecordedAndReplayed(t *testing.T) {
	w, holder := laneWorld(t)
	stripped := laneJWT[:strings.LastIndex(laneJWT, ".")+1]
	for _, each := range []struct{ path, input, value, replayed string }{
		{"lane/found", `{"token": "opaque"}`, `"alice"`, `{"token": "opaque"}`},
		{"lane/same", `{"token": "opaque"}`, `["alice","alice"]`, `{"token": "opaque"}`},
		{"lane/missing", `{"token": "other"}`, "true", `{"token": "other"}`},
		{"lane/again", `{"token": "other"}`, "true", `{"token": "other"}`},
		{"lane/found", `{"token": "` + laneJWT + `"}`, `"alice"`, `{"token": "` + stripped + `"}`},
		{"lane/found", `{"token": "` + laneJWT + `"}`, `"alice"`, `{"token": {"id": "` + tokens.IDText(laneJWT) + `"}}`},
		{"lane/revoked", `{"token": "` + laneJWT + `", "claims": {"sub": "x", "iat": 1.5}}`, "[false,false]",
			`{"token": "` + stripped + `", "claims": {"iat": 1.5, "sub": "x"}}`},
		// What has the form of a record, and none of its hashes.
		{"lane/revoked", `{"token": "other", "claims": {"id": "opaque-and-as-long-as-an-id-hash"}}`, "[false,false]",
			`{"token": "other", "claims": {"id": "opaque-and-as-long-as-an-id-hash"}}`},
		{"lane/state", `{}`, `"live"`, `{}`},
	} {
		value, recorded, lane := w.inLane(holder, each.path, each.input)
		if value != each.value {
			t.Errorf("data.%s with %s is %s, want %s", each.path, each.input, value, each.value)
		}
		if want := `{"name":"main","revision":9,"state":"live"}`; lane != want {
			t.Errorf("data.%s: the lane is %s, want %s", each.path, lane, want)
		}
		again := w.replay(each.path, each.replayed, recorded, 1_000_000)
		if string(again.Value) != value {
			t.Errorf("data.%s replayed with %s is %s (%v), want %s", each.path, recorded, again.Value, again.Failure, value)
		}
	}
	w.expectUnrecorded("notp.tokens.lookup", "lane/found", `{"token": "opaque"}`, "", 1_000_000)
	w.expectUnrecorded("notp.tokens.lane", "lane/state", `{}`, `{"notp.tokens.lookup": {}}`, 1_000_000)
}

func TestAnEvaluationWithoutALaneIsClosed(t *testing.T) {
	w, _ := laneWorld(t)
	w.expect("lane/missing", `{"token": "opaque"}`, "true")
	w.expect("lane/revoked", `{"token": "opaque", "claims": {}}`, "[true,true]")
	w.expect("lane/state", `{}`, `"unknown"`)
}

func TestADamagedTableFailsTheEvaluation(t *testing.T) {
	w, holder := laneWorld(t)
	id := tokenstest.ID("opaque")
	damaged := tokenstest.Segment([]tokenstest.Token{{ID: id, End: 2000, Subject: "alice"}}, nil, nil)
	damaged[len(damaged)-len("alice")-1] = 99 // the length of the subject
	update := frame.Tokens{Lane: frame.Lane{Name: "main", Contact: 1, Complete: true, Heard: 1_000_000, HardSeconds: 9},
		Shards: []frame.TokenShard{{Index: id[0] >> 2, Base: frame.BaseStays, Delta: damaged}}}
	if err := holder.Apply(update, nil); err != nil {
		t.Fatal(err)
	}
	meter := &builtin.Meter{Tokens: tokens.NewUse(holder)}
	defer meter.Tokens.End()
	outcome := w.engine.Evaluate(ask("lane/missing", `{"token": "opaque"}`, 0), meter).Outcomes[0]
	if outcome.Failure == nil || !strings.Contains(outcome.Failure.Message, "damaged") {
		t.Errorf("%s (%v), want an evaluation that fails: a negation would turn undefined into true", outcome.Value, outcome.Failure)
	}
}

// What policies call is a function of the agent's module, which is left out where nothing replaces it.
func TestFunctionsOfTheLaneAreCalledDirectlyAndReplaced(t *testing.T) {
	w, holder := laneWorld(t)
	w.activate(release{modules: map[string]string{
		"helper.rego": "package system.notp.tokens\n\nlookup(token) := notp.tokens.lookup(token)\n\nrevoked(x) := notp.tokens.revoked(x)\n",
		"looks.rego": `package looks

sub := data.system.notp.tokens.lookup(input.token).sub

each := [data.system.notp.tokens.lookup(token).sub | some token in [input.token, "other"]]

clear if not data.system.notp.tokens.revoked(input.token)
`,
		"replaces.rego": "package replaces\n\nfake(_) := {\"sub\": \"bob\"}\n\n" +
			"sub := s if s := data.looks.sub with data.system.notp.tokens.lookup as fake\n",
	}})
	for path, want := range map[string]string{
		"looks/sub": `"alice"`, "looks/each": `["alice"]`, "looks/clear": "true", "replaces/sub": `"bob"`,
	} {
		if value, _, _ := w.inLane(holder, path, `{"token": "opaque"}`); value != want {
			t.Errorf("data.%s is %s, want %s", path, value, want)
		}
	}
}
