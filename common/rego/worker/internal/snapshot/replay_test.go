package snapshot

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/frame"
)

// replay evaluates a path again; an empty `recorded` has no results, time 0 is unknown.
func (w *world) replay(path, input, recorded string, at int64) Outcome {
	w.t.Helper()
	seen, err := builtin.ReadRecorded([]byte(recorded), at != 0)
	if err != nil {
		w.t.Fatal(err)
	}
	question := ask(path, input, 0)
	question.Time = at
	decision := w.engine.Evaluate(question, &builtin.Meter{Recorded: seen})
	if decision.Failure != nil {
		return Outcome{Failure: decision.Failure}
	}
	return decision.Outcomes[0]
}

// record evaluates as a node does, at the present time.
func (w *world) record(path, input string) (outcome Outcome, recorded string, at int64) {
	w.t.Helper()
	decision := w.engine.Evaluate(ask(path, input, frame.FlagNonDeterministic), &builtin.Meter{})
	if decision.Failure != nil || decision.Outcomes[0].Failure != nil {
		w.t.Fatal(decision.Failure, decision.Outcomes)
	}
	return decision.Outcomes[0], memberOf(w.t, decision.Outcomes[0].Extras, "nd_builtin_cache"), decision.Time
}

func (w *world) expectUnrecorded(name, path, input, recorded string, at int64) {
	w.t.Helper()
	outcome := w.replay(path, input, recorded, at)
	if outcome.Failure == nil || outcome.Failure.Code != "unrecorded" || outcome.Failure.Message != name {
		w.t.Errorf("data.%s: %s %v, want that %s was not recorded", path, outcome.Value, outcome.Failure, name)
	}
}

const worldPolicy = `package around

now := time.now_ns()

dice := [rand.intn(name, 1000000000) | some name in ["a", "b", input.name]]

id := uuid.rfc4122(input.name)

hosts := net.lookup_ip_addr("localhost")

host if some "127.0.0.1" in hosts

signed := io.jwt.encode_sign({"alg": "ES256"}, {"name": input.name}, input.key)

runtime := opa.runtime()

schema := json.match_schema({"a": 1}, {"type": "object"})

all := {"now": now, "dice": dice, "id": id, "host": host, "signed": signed, "runtime": runtime, "set": {x | some x in [3, 1, input.name]}}

sent := http.send({"method": "GET", "url": input.url, "headers": {"Authorization": input.secret}}).status_code

hidden if not sent

listed := [x | some x in ["a"]; http.send({"method": "GET", "url": x})]
`

func worldOfChance(t *testing.T) *world {
	w := newWorld(t)
	w.ledgers = []frame.Ledger{{Name: "main", Capabilities: []byte(`{"allow":["http.send","net.lookup_ip_addr","opa.runtime"]}`)}}
	w.activate(release{modules: map[string]string{"around.rego": worldPolicy}})
	return w
}

const signingKey = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}`

func TestAReplayGivesTheSame(t *testing.T) {
	w := worldOfChance(t)
	for i := range 50 {
		input := fmt.Sprintf(`{"name": "n%d", "key": %s}`, i, signingKey)
		first, recorded, at := w.record("around/all", input)
		again := w.replay("around/all", input, recorded, at)
		if again.Failure != nil || string(again.Value) != string(first.Value) {
			t.Fatalf("%s %v, want %s", again.Value, again.Failure, first.Value)
		}
		// What was not masked at the node may be masked by a reader: secrets are no part of a call's name.
		masked := strings.Replace(input, signingKey, `""`, 1)
		if again = w.replay("around/all", masked, recorded, at); string(again.Value) != string(first.Value) {
			t.Fatalf("without the key: %s %v, want %s", again.Value, again.Failure, first.Value)
		}
	}
}

func TestAReplayReadsTheRecordedClock(t *testing.T) {
	w := worldOfChance(t)
	if got := w.replay("around/now", "", "", 1_700_000_000_123_456_789); string(got.Value) != "1700000000123456789" {
		t.Errorf("the clock says %s %v", got.Value, got.Failure)
	}
	if got := w.replay("around/now", "", `{"time.now_ns":{"[]":5}}`, 7); string(got.Value) != "5" {
		t.Errorf("the recorded result is not used: %s %v", got.Value, got.Failure)
	}
	w.expectUnrecorded("time.now_ns", "around/now", "", "", 0)
}

func TestWhatWasNotRecordedEndsAReplay(t *testing.T) {
	w := worldOfChance(t)
	input := fmt.Sprintf(`{"name": "n", "key": %s, "url": "http://localhost", "secret": "s"}`, signingKey)
	for path, name := range map[string]string{
		"dice": "rand.intn", "id": "uuid.rfc4122", "hosts": "net.lookup_ip_addr", "host": "net.lookup_ip_addr",
		"signed": "io.jwt.encode_sign", "runtime": "opa.runtime", "sent": "http.send", "hidden": "http.send", "listed": "http.send",
	} {
		w.expectUnrecorded(name, "around/"+path, input, "", 1)
		w.expectUnrecorded(name, "around/"+path, input, `{"`+name+`":{"[\"another call\"]":true}}`, 1)
	}
	if got := w.replay("around/schema", input, "", 1); string(got.Value) != "[true,[]]" {
		t.Errorf("what needs nothing but its arguments: %s %v", got.Value, got.Failure)
	}
	for _, text := range []string{`{`, `[]`, `{"rand.intn": 5}`, `{"rand.intn": {"no array": 5}}`, `{"rand.intn": {"{}": 5}}`} {
		if _, err := builtin.ReadRecorded([]byte(text), true); err == nil {
			t.Errorf("%s is read", text)
		}
	}
	if _, err := builtin.ReadRecorded([]byte(`{"of.a.later.version": {"[]": 5}}`), true); err != nil {
		t.Error(err)
	}
}

// TestAReplayConnectsToNothing asks a listener, which counts.
func TestAReplayConnectsToNothing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var connections atomic.Int64
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			fmt.Fprint(connection, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
			connection.Close()
		}
	}()
	defer listener.Close()
	w := worldOfChance(t)
	input := `{"url": "http://` + listener.Addr().String() + `", "secret": "s"}`
	_, recorded, at := w.record("around/sent", input)
	if connections.Load() != 1 || strings.Contains(recorded, `"s"`) {
		t.Fatalf("%d connections; recorded: %s", connections.Load(), recorded)
	}
	if got := w.replay("around/sent", input, recorded, at); string(got.Value) != "204" {
		t.Errorf("recorded: %s %v", got.Value, got.Failure)
	}
	w.expectUnrecorded("http.send", "around/sent", input, "", at)
	w.expectUnrecorded("http.send", "around/sent", `{"url": "http://`+listener.Addr().String()+`/other", "secret": "s"}`, recorded, at)
	if connections.Load() != 1 {
		t.Errorf("a replay made %d connections", connections.Load()-1)
	}
}

func TestATokenIsVerifiedAsItWas(t *testing.T) {
	w, token, stripped := tokenWorld(t)
	quote := func(input map[string]any) string { text, _ := json.Marshal(input); return string(text) }
	input := quote(map[string]any{"token": token, "secret": sharedSecret})
	first, recorded, at := w.record("tokens/decoded", input)
	masked := quote(map[string]any{"token": stripped, "secret": "***"})
	for _, each := range []string{input, masked} {
		if got := w.replay("tokens/decoded", each, recorded, at); string(got.Value) != string(first.Value) {
			t.Errorf("%s: %s %v, want %s", each, got.Value, got.Failure, first.Value)
		}
	}
	// Without a result: the token itself says it, if it is whole, and the recorded clock if it still counts.
	if got := w.replay("tokens/decoded", input, "", at); string(got.Value) != string(first.Value) {
		t.Errorf("a whole token: %s %v", got.Value, got.Failure)
	}
	if got := w.replay("tokens/decoded", input, "", 4_100_000_000_000_000_000); string(got.Value) != "[false,{},{}]" {
		t.Errorf("after it has expired: %s %v", got.Value, got.Failure)
	}
	if got := w.replay("tokens/verified", input, "", 0); string(got.Value) != "true" {
		t.Errorf("verifying needs no clock: %s %v", got.Value, got.Failure)
	}
	w.expectUnrecorded("io.jwt.decode_verify", "tokens/decoded", input, "", 0)
	w.expectUnrecorded("io.jwt.decode_verify", "tokens/decoded", masked, "", at)
	w.expectUnrecorded("io.jwt.verify_hs256", "tokens/verified", masked, "", at)
	// Two calls that a record cannot tell apart.
	differ := quote(map[string]any{"token": token, "secret": sharedSecret})
	_, recorded, at = w.record("tokens/differ", differ)
	w.expectUnrecorded("io.jwt.verify_hs256", "tokens/differ", quote(map[string]any{"token": stripped, "secret": ""}), recorded, at)
	ambiguous := `{"io.jwt.verify_hs256": {"[\"` + stripped + `\",\"one\"]": true, "[\"` + stripped + `\",\"two\"]": false}}`
	w.expectUnrecorded("io.jwt.verify_hs256", "tokens/verified", masked, ambiguous, at)
}

const certificatePolicy = `package certificates

plain := crypto.x509.parse_and_verify_certificates(input.chain)

optional := crypto.x509.parse_and_verify_certificates_with_options(input.chain, {"KeyUsages": ["KeyUsageAny"]})

at(ns) := crypto.x509.parse_and_verify_certificates_with_options(input.chain, {"KeyUsages": ["KeyUsageAny"], "CurrentTime": ns})

given := at(input.at)
`

// chainOf returns a root and a certificate by it that is valid for an hour from `from`.
func chainOf(t *testing.T, from time.Time) string {
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: from.Add(-time.Hour), NotAfter: from.Add(9 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, NotBefore: from, NotAfter: from.Add(time.Hour)}
	rootKey, leafKey := newKey(t), newKey(t)
	rootText, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	leafText, err := x509.CreateCertificate(rand.Reader, leaf, root, &leafKey.PublicKey, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	encoded := func(text []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: text}))
	}
	return encoded(rootText) + encoded(leafText)
}

// TestCertificatesAreVerifiedByTheRecordedClock: OPA reads the machine's, and records nothing.
func TestCertificatesAreVerifiedByTheRecordedClock(t *testing.T) {
	w := newWorld(t)
	w.activate(release{modules: map[string]string{"c.rego": certificatePolicy}})
	now := time.Now()
	text, _ := json.Marshal(map[string]any{"chain": chainOf(t, now.Add(-time.Minute)), "at": 5})
	for _, path := range []string{"certificates/plain", "certificates/optional"} {
		first, _, at := w.record(path, string(text))
		if !strings.HasPrefix(string(first.Value), "[true,[") {
			t.Fatalf("%s: %s", path, first.Value)
		}
		if got := w.replay(path, string(text), "", at); string(got.Value) != string(first.Value) {
			t.Errorf("%s: %s %v, want %s", path, got.Value, got.Failure, first.Value)
		}
		late, _ := json.Marshal(map[string]any{"chain": chainOf(t, now.Add(-3*time.Hour))})
		if first, _, _ = w.record(path, string(late)); string(first.Value) != "[false,[]]" {
			t.Fatalf("%s: %s", path, first.Value)
		}
		if got := w.replay(path, string(late), "", now.Add(-150*time.Minute).UnixNano()); !strings.HasPrefix(string(got.Value), "[true,[") {
			t.Errorf("%s, when they were valid: %s %v", path, got.Value, got.Failure)
		}
		w.expectUnrecorded("crypto.x509.parse_and_verify_certificates"+map[bool]string{true: "_with_options"}[path == "certificates/optional"], path, string(text), "", 0)
	}
	if got := w.replay("certificates/given", string(text), "", now.UnixNano()); string(got.Value) != "[false,[]]" {
		t.Errorf("at a given time: %s %v", got.Value, got.Failure)
	}
	for _, broken := range []string{`{"chain": "no certificate"}`, `{"chain": ""}`} {
		first, _, at := w.record("certificates/plain", broken)
		if got := w.replay("certificates/plain", broken, "", at); string(got.Value) != string(first.Value) || got.Defined != first.Defined {
			t.Errorf("%s: %s %v, want %s", broken, got.Value, got.Failure, first.Value)
		}
	}
}

// TestEveryNonDeterministicFunctionAsksTheRecord finds one that a later OPA adds.
func TestEveryNonDeterministicFunctionAsksTheRecord(t *testing.T) {
	computed := map[string]bool{"json.verify_schema": true, "json.match_schema": true}
	ask := map[string]string{
		"rand.intn": `"a", 5`, "uuid.rfc4122": `"a"`, "io.jwt.decode_verify": `"e30.e30.", {}`, "io.jwt.encode_sign": `{}, {}, {}`,
		"io.jwt.encode_sign_raw": `"", "", ""`, "time.now_ns": "", "http.send": `{}`, "opa.runtime": "", "net.lookup_ip_addr": `"a"`,
	}
	for _, declaration := range ast.Builtins {
		if !declaration.Nondeterministic || computed[declaration.Name] {
			continue
		}
		arguments, ok := ask[declaration.Name]
		if !ok {
			t.Errorf("%s: what does it give in a replay?", declaration.Name)
			continue
		}
		w := newWorld(t)
		w.ledgers = []frame.Ledger{{Name: "main", Capabilities: []byte(`{"allow":["http.send","net.lookup_ip_addr","opa.runtime"]}`)}}
		w.activate(release{modules: map[string]string{"a.rego": "package a\n\nx := " + declaration.Name + "(" + arguments + ")\n"}})
		w.expectUnrecorded(declaration.Name, "a/x", "", "", 0)
	}
}
