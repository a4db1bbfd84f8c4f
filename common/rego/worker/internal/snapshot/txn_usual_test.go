package snapshot

import (
	"bytes"
	"crypto/ecdsa"
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/frame"
)

// How many tokens are generated for each set of keys, and how many times as many for the first.
const (
	usualTokens = 200
	usualFirst  = 12
)

// textChange changes the text of a header or of claims.
type textChange func(random *rand.Rand, text string) string

// replacing puts one of the values in the place of a member's, or adds it.
func replacing(name string, values ...string) textChange {
	return func(random *rand.Rand, text string) string {
		var members map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &members) != nil {
			return text // changed by another one
		}
		delete(members, name)
		if value := values[random.IntN(len(values))]; value != "" {
			members[name] = json.RawMessage(value)
		}
		changed, _ := json.Marshal(members)
		return string(changed)
	}
}

func adding(members ...string) textChange {
	return func(random *rand.Rand, text string) string {
		member := members[random.IntN(len(members))]
		if random.IntN(2) == 0 {
			return "{" + member + "," + text[1:]
		}
		return strings.TrimSuffix(text, "}") + "," + member + "}"
	}
}

// Values that a member may have, of its own type and of others; empty: it is missing.
var someValues = []string{"", `""`, `"x"`, `null`, `true`, `0`, `-1`, `1.5`, `1e3`, `[]`, `["x"]`, `{}`, `{"a":[1,{"b":null}]}`,
	`"\u0061\n\ud83d\ude00"`, `"\ud800"`, `"\ufffd"`, `18446744073709551616`, `1e309`, `1e0001`, strings.Repeat("[", 15) + strings.Repeat("]", 15),
	strings.Repeat("[", 16) + strings.Repeat("]", 16)}

func headerChanges() []textChange {
	return []textChange{
		replacing("typ", "", `"at+jwt"`, `"TXNTOKEN+JWT"`, `"txntoken\u002bjwt"`, `"application/txntoken+jwt"`, `["txntoken+jwt"]`),
		replacing("alg", "", `"ES384"`, `"EdDSA"`, `"HS256"`, `"none"`, `"\u0045S256"`, `["ES256"]`),
		replacing("kid", "", `""`, `"b"`, `"old"`, `"\u0061"`, `1`, `null`),
		adding(`"crit":["x"]`, `"crit":[]`, `"b64":false`, `"cty":"JWT"`, `"cty":""`, `"zip":"DEF"`, `"enc":"x"`, `"jku":"x"`, `"x":{"y":[1]}`,
			`"kid":"a"`, `"k\u0069d":"b"`, `"alg":"ES256"`, `"typ":"txntoken+jwt"`),
		func(random *rand.Rand, text string) string { return strings.ReplaceAll(text, ",", " ,\n") },
	}
}

func claimChanges(now int64) []textChange {
	changes := []textChange{
		func(random *rand.Rand, text string) string {
			return strings.NewReplacer(":", " : ", ",", "\t,\r\n").Replace(text)
		},
		func(random *rand.Rand, text string) string {
			return text + []string{"", " ", "x", "{}"}[random.IntN(4)]
		},
		adding(`"sub":"root"`, `"s\u0075b":"root"`, `"tctx":{"a":1,"a":2}`, `"more":{"a":{"a":1}}`, `"aud":"domain.example"`, `"exp":1`),
		replacing("aud", `"domain.example"`, `["domain.example"]`, `"other"`, `""`, `"domain\u002eexample"`, ""),
	}
	for _, name := range []string{"iss", "txn", "sub", "scope", "req_wl", "tctx", "rctx", "jti", "nbf", "iat", "exp", "more"} {
		changes = append(changes, replacing(name, someValues...))
	}
	at := func(seconds ...int64) (times []string) {
		for _, each := range seconds {
			times = append(times, fmt.Sprint(now+each), fmt.Sprintf("%d.0", now+each), fmt.Sprintf("%d.5", now+each), fmt.Sprintf("%d.0e1", (now+each)/10))
		}
		return times
	}
	for range 6 { // they are what rules are about
		changes = append(changes, replacing("iat", at(-301, -300, -299, 29, 30, 31)...), replacing("exp", at(-1, 0, 1, 2, 3, 599, 600, 601)...),
			replacing("nbf", at(-1, 0, 1)...))
	}
	return changes
}

// generated returns a token with none or some of the changes, most of them signed by one of the keys.
func generated(random *rand.Rand, now int64, keys []txnKey) string {
	key := keys[random.IntN(len(keys))]
	head := fmt.Sprintf(`{"alg":"ES256","kid":"%s","typ":"txntoken+jwt"}`, key.kid)
	body := fmt.Sprintf(`{"iat":%d,"exp":%d,"aud":"domain.example","txn":"t%d","sub":"s","scope":"x y","req_wl":"w","tctx":{"a":[1,-2.50,"\u00e4"]},"rctx":{}}`,
		now, now+300, random.Int())
	for range random.IntN(3) {
		if random.IntN(4) == 0 {
			changes := headerChanges()
			head = changes[random.IntN(len(changes))](random, head)
		} else {
			changes := claimChanges(now)
			body = changes[random.IntN(len(changes))](random, body)
		}
	}
	signing := base64url([]byte(head)) + "." + base64url([]byte(body))
	hash := sha256.Sum256([]byte(signing))
	if random.IntN(20) == 0 {
		key = keys[random.IntN(len(keys))]
	}
	r, s, err := ecdsa.Sign(crand.Reader, key.key, hash[:])
	if err != nil {
		panic(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	token := signing + "." + base64url(signature)
	if random.IntN(20) == 0 {
		at := random.IntN(len(token))
		token = token[:at] + []string{"", "A", "=", "\n", ".", "-"}[random.IntN(6)] + token[at+random.IntN(2):]
	}
	return token
}

// What is verified without the module's rules is what they take, with the same claims.
func TestUsualTokensAreThoseThatTheModuleTakes(t *testing.T) {
	const policy = "package gate\n\nclaims := data.system.notp.txn.verify(input.token)\n"
	a, b, foreign := newTxnKey("a"), newTxnKey("b"), newTxnKey("a")
	changed := func(old, new string) string { return strings.Replace(txnSet(a, b), old, new, 1) }
	tokens, taken, usual := 0, 0, 0
	for round, set := range []string{
		txnSet(a, b), txnSet(a, a), txnSet(a),
		changed(`"alg":"ES256",`, ""), changed(`"alg":"ES256"`, `"alg":"ES384"`), changed(`"use":"sig"`, `"use":"enc"`),
		changed(`"use":"sig"`, `"key_ops":["verify"]`), changed(`"use":"sig"`, `"key_ops":{"x":"verify"}`), changed(`"use":"sig"`, `"key_ops":["sign"]`),
		changed(`"kid":"b"`, `"kid":"a"`), changed(`"crv":"P-256"`, `"crv":"P-384"`), changed(`"kid":"a"`, `"kid":"x"`),
		changed(`"alg":"ES256"`, `"alg":"unknown"`), `{"keys":{"x":` + strings.TrimSuffix(txnSet(a)[strings.Index(txnSet(a), "[")+1:], "]}") + `}}`,
	} {
		fast := txnWorld(t, set, map[string]string{"gate.rego": policy})
		slow := txnWorldOf(t, strings.Replace(txnModule(t), "_rules :=", "_without :=", 1), set, map[string]string{"gate.rego": policy})
		random := rand.New(rand.NewPCG(7, uint64(round)))
		now := time.Now().Unix()
		count := usualTokens
		if round == 0 {
			count *= usualFirst
		}
		for range count {
			token := generated(random, now, []txnKey{a, a, a, a, b, foreign})
			input, _ := json.Marshal(map[string]string{"token": token})
			question := ask("gate/claims", string(input), frame.FlagNonDeterministic)
			question.Time = now*1e9 + []int64{0, 1, 128, 999_999_999, 999_999_872, random.Int64N(1e9)}[random.IntN(6)]
			got := fast.engine.Evaluate(question, &builtin.Meter{}).Outcomes[0]
			want := slow.engine.Evaluate(question, &builtin.Meter{}).Outcomes[0]
			if got.Failure != nil || want.Failure != nil || !bytes.Equal(got.Value, want.Value) {
				t.Fatalf("round %d: %s at %d: %s (%v), the module takes %s (%v)", round, token, question.Time, got.Value, got.Failure, want.Value, want.Failure)
			}
			if !want.Defined && !bytes.Equal(got.Extras, want.Extras) {
				t.Fatalf("round %d: %s: recorded is %s, want %s", round, token, got.Extras, want.Extras)
			}
			tokens++
			if want.Defined {
				taken++
				if !bytes.Contains(got.Extras, []byte("io.jwt")) {
					usual++
				}
			}
		}
	}
	t.Logf("%d tokens, %d taken, %d of them without the module's rules", tokens, taken, usual)
	if taken < tokens/10 || taken > tokens*9/10 || usual < taken/2 || usual == taken {
		t.Error("these tokens show little")
	}
}
