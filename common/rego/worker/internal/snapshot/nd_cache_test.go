package snapshot

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"notp.core-platform.internal/notp-pdp/internal/frame"
)

const sharedSecret = "a secret that both sides know"

// The key in sharedSecret as JWK.
const tokenPolicy = `package tokens

key := {"kty": "oct", "k": "YSBzZWNyZXQgdGhhdCBib3RoIHNpZGVzIGtub3c"}

signed(claims) := io.jwt.encode_sign({"alg": "HS256"}, claims, key)

raw(claims) := io.jwt.encode_sign_raw("{\"alg\": \"HS256\"}", json.marshal(claims), json.marshal(key))

decoded := io.jwt.decode_verify(input.token, {"secret": input.secret, "alg": "HS256"})

verified := io.jwt.verify_hs256(input.token, input.secret)

both := [signed({"iss": "x"}), raw({"iss": "y"})]

same := [io.jwt.verify_hs256(input.token, "one"), io.jwt.verify_hs256(input.token, "two")]

differ := [io.jwt.verify_hs256(input.token, "one"), io.jwt.verify_hs256(input.token, input.secret), io.jwt.verify_hs384(input.token, "one")]

certified := io.jwt.decode_verify(input.token, {"cert": input.cert})

private := io.jwt.verify_rs256(input.token, input.cert)

expired if {
	decoded[0]
	1 / input.zero
}

many := [x | some i in numbers.range(1, input.count); x := rand.intn(sprintf("%d", [i]), 1000000)]
`

// ndCache evaluates and returns the recorded calls: results by arguments, by name.
func (w *world) ndCache(path string, input any) map[string]map[string]json.RawMessage {
	w.t.Helper()
	text, err := json.Marshal(input)
	if err != nil {
		w.t.Fatal(err)
	}
	outcome := w.evaluate(path, string(text), frame.FlagNonDeterministic)
	if outcome.Failure != nil {
		w.t.Fatal(outcome.Failure)
	}
	cache := map[string]map[string]json.RawMessage{}
	if recorded := memberOf(w.t, outcome.Extras, "nd_builtin_cache"); recorded != "" {
		if err := json.Unmarshal([]byte(recorded), &cache); err != nil {
			w.t.Fatal(err, recorded)
		}
	}
	return cache
}

func (w *world) token(claims string) string {
	w.t.Helper()
	w.activate(release{modules: map[string]string{"claims.rego": "package claims\n\ntoken := data.tokens.signed(" + claims + ")\n"}})
	outcome := w.evaluate("claims/token", "", 0)
	var token string
	if err := json.Unmarshal(outcome.Value, &token); err != nil {
		w.t.Fatal(err, outcome.Failure)
	}
	return token
}

func tokenWorld(t *testing.T) (w *world, token, stripped string) {
	w = newWorld(t)
	w.activate(release{modules: map[string]string{"tokens.rego": tokenPolicy}})
	token = w.token(`{"iss": "x", "exp": 4000000000}`)
	return w, token, token[:strings.LastIndexByte(token, '.')+1]
}

func TestTokensAreRecorded(t *testing.T) {
	w, token, stripped := tokenWorld(t)
	input := map[string]any{"token": token, "secret": sharedSecret}
	cache := w.ndCache("tokens/decoded", input)
	key := fmt.Sprintf(`["%s",{"alg":"HS256","secret":""}]`, stripped)
	if got := string(cache["io.jwt.decode_verify"][key]); got != `[true,{"alg":"HS256"},{"exp":4000000000,"iss":"x"}]` {
		t.Errorf("decode_verify: %v", cache)
	}
	cache = w.ndCache("tokens/verified", input)
	if got := string(cache["io.jwt.verify_hs256"][fmt.Sprintf(`["%s",""]`, stripped)]); got != "true" {
		t.Errorf("verify_hs256: %v", cache)
	}
	if outcome := w.evaluate("tokens/verified", `{"token": "`+token+`", "secret": "x"}`, 0); string(outcome.Value) != "false" || outcome.Extras != nil {
		t.Errorf("without a cache: %s, extras %s", outcome.Value, outcome.Extras)
	}
	// A token without its signature, as it is recorded, leads to the same key.
	if cache = w.ndCache("tokens/verified", map[string]any{"token": stripped, "secret": "other"}); string(cache["io.jwt.verify_hs256"][fmt.Sprintf(`["%s",""]`, stripped)]) != "false" {
		t.Errorf("a stripped token: %v", cache)
	}
	// What failed has what led to it.
	text, _ := json.Marshal(map[string]any{"token": token, "secret": sharedSecret, "zero": 0})
	outcome := w.evaluate("tokens/expired", string(text), frame.FlagStrict|frame.FlagNonDeterministic)
	if outcome.Failure == nil || !strings.Contains(memberOf(t, outcome.Extras, "nd_builtin_cache"), `"io.jwt.decode_verify":{`) {
		t.Errorf("a failure: %+v, extras %s", outcome.Failure, outcome.Extras)
	}
}

func TestEveryVerifierIsRecorded(t *testing.T) {
	var names, calls []string
	for _, each := range ast.Builtins {
		if strings.HasPrefix(each.Name, "io.jwt.verify_") {
			names = append(names, each.Name)
			calls = append(calls, each.Name+"(input.token, input.key)")
		}
	}
	if len(names) < 13 {
		t.Fatalf("only %v", names)
	}
	w := newWorld(t)
	w.activate(release{modules: map[string]string{"a.rego": "package a\n\nall := [" + strings.Join(calls, ", ") + "]\n"}})
	cache := w.ndCache("a/all", map[string]any{"token": "e30.e30.AAAA", "key": publicPEM(t)})
	for _, name := range names {
		if len(cache[name]) != 1 {
			t.Errorf("%s: %v", name, cache[name])
		}
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func publicPEM(t *testing.T) string {
	t.Helper()
	text, err := x509.MarshalPKIXPublicKey(&newKey(t).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: text}))
}

func TestSecretsAreNotRecorded(t *testing.T) {
	w, token, stripped := tokenWorld(t)
	cache := w.ndCache("tokens/both", map[string]any{})
	if _, ok := cache["io.jwt.encode_sign"][`[{"alg":"HS256"},{"iss":"x"},""]`]; !ok {
		t.Errorf("encode_sign: %v", cache)
	}
	if _, ok := cache["io.jwt.encode_sign_raw"][`["{\"alg\": \"HS256\"}","{\"iss\":\"y\"}",""]`]; !ok {
		t.Errorf("encode_sign_raw: %v", cache)
	}
	// A public key stays, anything else in its place does not: OPA takes a private JWK for a key, too.
	const public = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`
	private := strings.Replace(public, `{`, `{"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",`, 1)
	recorded := map[string]int{}
	for cert, want := range map[string]string{
		publicPEM(t):                "kept",
		public:                      "kept",
		`{"keys":[` + public + `]}`: "kept",
		private:                     "gone",
		`{"keys":[` + public + `,` + private + `]}`: "gone",
		`{"kty":"oct","k":"c2VjcmV0"}`:              "gone",
		`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`:   "gone",
		"remark: c2VjcmV0\n" + publicPEM(t):         "gone",
	} {
		for _, path := range []string{"tokens/certified", "tokens/private"} {
			for _, calls := range w.ndCache(path, map[string]any{"token": token, "cert": cert}) {
				for key := range calls {
					recorded[want]++
					quoted, _ := json.Marshal(cert)
					if kept := strings.Contains(key, string(quoted)); kept != (want == "kept") || !kept && strings.Contains(key, "kty") {
						t.Errorf("%s with %s: %s, want it to be %s", path, cert, key, want)
					}
					if strings.Contains(key, token) || !strings.Contains(key, stripped) {
						t.Errorf("the token in %s", key)
					}
				}
			}
		}
	}
	if recorded["kept"] < 5 || recorded["gone"] < 5 {
		t.Errorf("too few of these calls are recorded at all: %v", recorded)
	}
}

// TestCallsThatDifferInASecret are one call, or none.
func TestCallsThatDifferInASecret(t *testing.T) {
	w, token, stripped := tokenWorld(t)
	input := map[string]any{"token": token, "secret": sharedSecret}
	key := fmt.Sprintf(`["%s",""]`, stripped)
	if calls := w.ndCache("tokens/same", input)["io.jwt.verify_hs256"]; len(calls) != 1 || string(calls[key]) != "false" {
		t.Errorf("with one result: %v", calls)
	}
	cache := w.ndCache("tokens/differ", input)
	if _, ok := cache["io.jwt.verify_hs256"]; ok || len(cache["io.jwt.verify_hs384"]) != 1 {
		t.Errorf("with two results: %v", cache)
	}
}

func TestALargeCacheIsLeftOut(t *testing.T) {
	w, _, _ := tokenWorld(t)
	size := func(count int) (recorded, omitted string) {
		outcome := w.evaluate("tokens/many", fmt.Sprintf(`{"count": %d}`, count), frame.FlagNonDeterministic)
		return memberOf(t, outcome.Extras, "nd_builtin_cache"), memberOf(t, outcome.Extras, "nd_builtin_cache_omitted")
	}
	recorded, omitted := size(1000)
	if omitted != "" || len(recorded) < 16<<10 || len(recorded) > ndCacheMax {
		t.Errorf("%d bytes are recorded, %q are left out", len(recorded), omitted)
	}
	recorded, omitted = size(10_000)
	var bytes int
	if err := json.Unmarshal([]byte(omitted), &bytes); err != nil || recorded != "" || bytes <= ndCacheMax {
		t.Errorf("%d bytes are recorded, %q are left out", len(recorded), omitted)
	}
	w.activate(release{modules: map[string]string{"log.rego": "package system.log\n\nmask := [concat(\"/\", [\"/input\", k]) | some k, _ in input]\n"}})
	if got := w.logOf("tokens/many", `{"count": 10000}`, "", frame.FlagNonDeterministic); strings.Contains(got, "nd_builtin_cache") || !strings.Contains(got, "/input/result") {
		t.Errorf("the event of one that is left out: %s", got)
	}
	if got := w.logOf("tokens/many", `{"count": 10}`, "", frame.FlagNonDeterministic); !strings.Contains(got, "/input/nd_builtin_cache") {
		t.Errorf("the event of one that is recorded: %s", got)
	}
}

// TestTheRulesSeeNoSecretsOfCalls: a mask that upserts what it sees would record them.
func TestTheRulesSeeNoSecretsOfCalls(t *testing.T) {
	w, token, _ := tokenWorld(t)
	w.activate(release{modules: map[string]string{"log.rego": "package system.log\n\nmask := [{\"op\": \"upsert\", \"path\": \"/input\", \"value\": input.nd_builtin_cache}]\n"}})
	text, _ := json.Marshal(map[string]any{"token": token, "secret": sharedSecret})
	got := w.logOf("tokens/decoded", string(text), "", frame.FlagNonDeterministic)
	if strings.Contains(got, sharedSecret) || strings.Contains(got, token) || !strings.Contains(got, `"io.jwt.decode_verify":{"[\"`) {
		t.Errorf("they see %s", got)
	}
	if names := slices.Sorted(func(yield func(string) bool) {
		for name := range w.ndCache("tokens/decoded", map[string]any{"token": token, "secret": sharedSecret}) {
			if !yield(name) {
				return
			}
		}
	}); !slices.Equal(names, []string{"io.jwt.decode_verify"}) {
		t.Errorf("recorded: %v", names)
	}
}
