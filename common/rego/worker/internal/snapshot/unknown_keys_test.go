package snapshot

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/frame"
)

const keysPolicy = `package a

set := json.marshal(data.keys.acme)

verified := io.jwt.verify_es256(input.token, set)

decoded := io.jwt.decode_verify(input.token, {"cert": set})[0]

both := [verified, decoded, io.jwt.verify_es256(input.token, set)]

secret := io.jwt.verify_hs256(input.token, "secret")

single := io.jwt.verify_es256(input.token, json.marshal(data.keys.acme.keys[0]))

all := [ok | some token in input.tokens; ok := io.jwt.verify_es256(token, set)]

broken if {
	not verified
	1 / input.zero
}
`

const logPolicy = `package system.log

mask contains "/input/token" if not data.a.verified
`

// signer makes tokens and has the JWK Set that verifies them.
type signer struct {
	t   *testing.T
	key *ecdsa.PrivateKey
	kid string
}

func newSigner(t *testing.T, kid string) *signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{t, key, kid}
}

func encoded(bytes []byte) string { return base64.RawURLEncoding.EncodeToString(bytes) }

func (s *signer) set() string {
	x, y := s.key.X.FillBytes(make([]byte, 32)), s.key.Y.FillBytes(make([]byte, 32))
	return fmt.Sprintf(`{"issuer": "https://acme", "keys": [{"kty": "EC", "crv": "P-256", "kid": %q, "x": %q, "y": %q}]}`,
		s.kid, encoded(x), encoded(y))
}

func (s *signer) token(header, claims string) string {
	s.t.Helper()
	signed := encoded([]byte(header)) + "." + encoded([]byte(claims))
	digest := sha256.Sum256([]byte(signed))
	r, v, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		s.t.Fatal(err)
	}
	return signed + "." + encoded(append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...))
}

func (s *signer) of(kid, issuer string) string {
	return s.token(fmt.Sprintf(`{"alg": "ES256", "kid": %q}`, kid), fmt.Sprintf(`{"iss": %q}`, issuer))
}

func jsonOf(t *testing.T, input any) string {
	text, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func keysWorld(t *testing.T) (*world, *signer, *signer) {
	w, known, other := newWorld(t), newSigner(t, "k1"), newSigner(t, "k2")
	w.activate(release{
		modules:   map[string]string{"a.rego": keysPolicy, "log.rego": logPolicy},
		documents: map[string]string{"keys/acme": known.set()},
	})
	return w, known, other
}

func (w *world) unknownKeys(path, input string, flags uint32) string {
	w.t.Helper()
	return memberOf(w.t, w.evaluate(path, input, flags|frame.FlagUnknownKeys).Extras, "unknown_keys")
}

func TestAKeyThatTheSetLacksIsNoted(t *testing.T) {
	w, known, other := keysWorld(t)
	const pair = `[{"issuer":"https://acme","kid":"k2"}]`
	long := strings.Repeat("k", 257)
	for _, each := range []struct{ path, token, want string }{
		{"a/verified", other.of("k2", "https://acme"), pair},
		{"a/decoded", other.of("k2", "https://acme"), pair},
		{"a/both", other.of("k2", "https://acme"), pair},
		{"a/verified", known.of("k1", "https://acme"), ""},
		{"a/verified", known.of("k2", "https://acme"), ""}, // any key may verify
		{"a/verified", other.of("k1", "https://acme"), ""}, // a bad signature
		{"a/decoded", known.token(`{"alg": "ES256", "kid": "k1"}`, `{"iss": "https://acme", "exp": 1}`), ""},
		{"a/secret", other.of("k2", "https://acme"), ""},
		{"a/single", other.of("k2", "https://acme"), ""}, // no set
		{"a/verified", other.token(`{"alg": "ES256"}`, `{"iss": "https://acme"}`), ""},
		{"a/verified", other.token(`{"alg": "ES256", "KID": "k2"}`, `{"iss": "https://acme"}`), ""},
		{"a/verified", other.token(`{"alg": "ES256", "kid": "k2"}`, `{"iss": ["https://acme"]}`), ""},
		{"a/verified", other.token(`{"alg": "ES256", "kid": "k2"}`, `{}`), ""},
		{"a/verified", other.token(`{"alg": "ES256", "kid": "k2"}`, `no JSON`), ""},
		{"a/verified", other.of(long, "https://acme"), ""},
		{"a/verified", other.of(long[1:], "https://acme"), `[{"issuer":"https://acme","kid":"` + long[1:] + `"}]`},
		{"a/verified", other.of("k2", strings.Repeat("i", 513)), ""},
		{"a/verified", other.token(`{"alg": "ES256", "kid": "k2"}`, `{"iss": "https://acme", "x": "`+strings.Repeat("x", 16<<10)+`"}`), ""},
		{"a/verified", "a.b", ""},
		{"a/verified", "", ""},
	} {
		input := jsonOf(t, map[string]any{"token": each.token})
		if got := w.unknownKeys(each.path, input, 0); got != each.want {
			t.Errorf("data.%s of %.90s notes %s, want %s", each.path, each.token, got, each.want)
		}
		plain, noting := w.evaluate(each.path, input, 0), w.evaluate(each.path, input, frame.FlagUnknownKeys)
		if plain.Extras != nil || string(plain.Value) != string(noting.Value) || plain.Defined != noting.Defined {
			t.Errorf("data.%s: %s with extras %s, and %s when noted", each.path, plain.Value, plain.Extras, noting.Value)
		}
	}
}

func TestUnknownKeysOfADecisionAreFew(t *testing.T) {
	w, known, other := keysWorld(t)
	var tokens []string
	for i := range 40 {
		tokens = append(tokens, other.of(fmt.Sprintf("new-%d", i/2), "https://acme"))
	}
	var found []builtin.UnknownKey
	text := w.unknownKeys("a/all", jsonOf(t, map[string]any{"tokens": tokens}), 0)
	if err := json.Unmarshal([]byte(text), &found); err != nil || len(found) != 4 || found[0].Kid != "new-0" || found[3].Kid != "new-3" {
		t.Errorf("%s %v", text, err)
	}
	// Sixteen failures are looked at: a crowd of bad tokens costs no more.
	tokens = nil
	for range 16 {
		tokens = append(tokens, other.of("k1", "https://acme"))
	}
	tokens = append(tokens, other.of("k2", "https://acme"))
	if text = w.unknownKeys("a/all", jsonOf(t, map[string]any{"tokens": tokens}), 0); text != "" {
		t.Errorf("after 16 failures: %s", text)
	}
	if text = w.unknownKeys("a/all", jsonOf(t, map[string]any{"tokens": append([]string{known.of("k1", "x")}, tokens[1:]...)}), 0); text == "" {
		t.Error("good tokens are counted")
	}
}

func TestUnknownKeysOfABatchAreThoseOfEachInput(t *testing.T) {
	w, known, other := keysWorld(t)
	batch := ask("a/verified", jsonOf(t, map[string]any{"token": other.of("k2", "https://acme")}), frame.FlagUnknownKeys)
	for _, token := range []string{known.of("k1", "https://acme"), other.of("k3", "https://other")} {
		batch.Inputs = append(batch.Inputs, frame.Input{Present: true, Text: []byte(jsonOf(t, map[string]any{"token": token}))})
	}
	want := []string{`[{"issuer":"https://acme","kid":"k2"}]`, "", `[{"issuer":"https://other","kid":"k3"}]`}
	for i, outcome := range w.engine.Evaluate(batch, &builtin.Meter{}).Outcomes {
		if got := memberOf(t, outcome.Extras, "unknown_keys"); got != want[i] {
			t.Errorf("input %d notes %s, want %s", i, got, want[i])
		}
	}
}

func TestUnknownKeysAreOfDecisionsAlone(t *testing.T) {
	w, _, other := keysWorld(t)
	input := jsonOf(t, map[string]any{"token": other.of("k2", "https://acme"), "zero": 0})
	// The rule for the log verifies the token; a path that does not has nothing to note.
	outcome := w.evaluate("a/set", input, frame.FlagUnknownKeys|frame.FlagLogRules)
	if memberOf(t, outcome.Extras, "unknown_keys") != "" || memberOf(t, outcome.Extras, "log") == "" {
		t.Errorf("rules for the log: %s", outcome.Extras)
	}
	request := frame.Replay{Eval: ask("a/verified", input, frame.FlagUnknownKeys)}
	request.Time = 1
	recorded, err := builtin.ReadRecorded(nil, true)
	if err != nil {
		t.Fatal(err)
	}
	again := w.engine.Evaluate(request.Eval, &builtin.Meter{Recorded: recorded})
	if outcome = again.Outcomes[0]; string(outcome.Value) != "false" || outcome.Extras != nil {
		t.Errorf("a replay: %s, extras %s", outcome.Value, outcome.Extras)
	}
	// What fails says what the log needs, and nothing else.
	outcome = w.evaluate("a/broken", input, frame.FlagUnknownKeys|frame.FlagStrict)
	if outcome.Failure == nil || outcome.Extras != nil {
		t.Errorf("a failure: %+v, extras %s", outcome.Failure, outcome.Extras)
	}
}
