package builtin

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

const usualNow = 1_800_000_000

const usualClaims = `{"iat":1799999990,"exp":1800000200,"aud":"d","txn":"t","sub":"s","scope":"x","req_wl":"w","iss":"i","jti":"j","tctx":{},"rctx":{}}`

// Each rule refuses what no other one does.
func TestEachRuleOfAUsualTokenIsNeeded(t *testing.T) {
	if members := ast.MustParseTerm(usualClaims).Value.(ast.Object); !areUsual(txnRules, members, "d", usualNow) {
		t.Fatal("a usual token is not usual")
	}
	for name, change := range map[string]string{
		"aud": `{"aud":["d"]}`, "txn": `{"txn":""}`, "sub": `{"sub":5}`, "scope": `{"scope":null}`, "req_wl": `{"req_wl":["w"]}`,
		"iss": `{"iss":""}`, "jti": `{"jti":1}`, "tctx": `{"tctx":[]}`, "rctx": `{"rctx":"r"}`, "nbf": `{"nbf":1}`,
		"not negative": `{"iat":-1,"exp":1800000002}`, "ahead": `{"iat":1800000031}`, "expired": `{"exp":1800000001}`,
		"latest": `{"exp":253402300800}`, "life": `{"exp":1800000591}`,
	} {
		members := ast.MustParseTerm(usualClaims).Value.(ast.Object)
		changed, _ := ast.MustParseTerm(change).Value.(ast.Object).MergeWith(members, func(v1, _ *ast.Term) (*ast.Term, bool) { return v1, false })
		if areUsual(txnRules, changed, "d", usualNow) {
			t.Errorf("%s: %s is usual", name, change)
		}
		also := map[string][]string{"not negative": {"life"}, "latest": {"life"}}[name]
		others := slices.DeleteFunc(slices.Clone(txnRules), func(rule txnRule) bool { return rule.name == name || slices.Contains(also, rule.name) })
		if len(others) != len(txnRules)-1-len(also) || !areUsual(others, changed, "d", usualNow) {
			t.Errorf("%s: something else refuses %s, too", name, change)
		}
	}
	for _, change := range []string{`{"iat":1.5}`, `{"iat":"1"}`, `{"exp":1.8e9}`, `{"exp":null}`} {
		members := ast.MustParseTerm(usualClaims).Value.(ast.Object)
		changed, _ := ast.MustParseTerm(change).Value.(ast.Object).MergeWith(members, func(v1, _ *ast.Term) (*ast.Term, bool) { return v1, false })
		if areUsual(txnRules, changed, "d", usualNow) {
			t.Errorf("%s is usual", change)
		}
	}
}

func TestHeadersOfUsualTokens(t *testing.T) {
	for header, usual := range map[string]bool{
		`{"typ":"txntoken+jwt","alg":"ES256","kid":"k"}`:               true,
		`{"typ":"at+jwt","alg":"ES256","kid":"k"}`:                     false,
		`{"typ":"txntoken+jwt","alg":"ES256","kid":""}`:                false,
		`{"typ":"txntoken+jwt","alg":"ES256","kid":1}`:                 false,
		`{"typ":"txntoken+jwt","alg":["ES256"],"kid":"k"}`:             false,
		`{"typ":"txntoken+jwt","alg":"ES256"}`:                         false,
		`{"typ":"txntoken+jwt","alg":"ES256","kid":"k","crit":["x"]}`:  false,
		`{"typ":"txntoken+jwt","alg":"none","alg":"ES256","kid":"k"}`:  false,
		`{"typ":"txntoken+jwt","alg":"ES256","kid":"k","\u006bid":""}`: false,
		`["txntoken+jwt","ES256","k"]`:                                 false,
		``:                                                             false,
	} {
		if _, ok := readHeader(base64.RawURLEncoding.EncodeToString([]byte(header))); ok != usual {
			t.Errorf("%s is usual: %v", header, ok)
		}
	}
}

// A key verifies with the one algorithm that is its own.
func TestKeysOfUsualTokens(t *testing.T) {
	const p256 = `"crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"`
	const okp = `"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
	for keys, want := range map[string]string{
		`{"kid":"k","kty":"EC",` + p256 + `}`:                                                  "ES256",
		`{"kid":"k","kty":"EC","alg":"ES256","use":"sig","key_ops":["verify"],` + p256 + `}`:   "ES256",
		`{"kid":"k",` + okp + `}`:                                                              "EdDSA",
		`{"kid":"k","kty":"EC","alg":"ES384",` + p256 + `}`:                                    "",
		`{"kid":"k","kty":"EC","alg":"",` + p256 + `}`:                                         "",
		`{"kid":"k","kty":"EC","use":"enc",` + p256 + `}`:                                      "",
		`{"kid":"k","kty":"EC","key_ops":["sign"],` + p256 + `}`:                               "",
		`{"kid":"x","kty":"EC",` + p256 + `}`:                                                  "",
		`{"kty":"EC",` + p256 + `}`:                                                            "",
		`{"kid":"k","kty":"oct","alg":"HS256","k":"c2VjcmV0"}`:                                 "",
		`{"kid":"k","kty":"EC",` + p256 + `},{"kid":"k",` + okp + `}`:                          "",
		`{"kid":"k","kty":"EC",` + p256 + `},{"kid":"x","kty":"EC","crv":"P-256","x":"AAAA"}`:  "", // io.jwt reads none of them
		`{"kid":"k","kty":"EC",` + p256 + `},{"kid":"x","kty":"oct","alg":"HS256","k":"c2Vj"}`: "ES256",
	} {
		var set any
		if err := util.UnmarshalJSON([]byte(`{"keys":[`+keys+`]}`), &set); err != nil {
			t.Fatal(err)
		}
		got := ""
		if key := readKeys(set).keys["k"]; key != nil {
			got = key.alg
		}
		if got != want {
			t.Errorf("%s verifies %q, want %q", keys, got, want)
		}
	}
	for _, set := range []any{nil, "x", []any{}, map[string]any{"keys": "x"}} {
		if len(readKeys(set).keys) != 0 {
			t.Errorf("%v has keys", set)
		}
	}
}

func TestTheMemoKeepsHeadersOfVerifiedTokensAlone(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	data := map[string]any{"keys": map[string]any{"txn": map[string]any{"keys": []any{
		map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": part(string(public))},
	}}}}
	rules := &TxnRules{Keys: "txn", Audience: "d"}
	header := part(`{"typ":"txntoken+jwt","alg":"EdDSA","kid":"k"}`)
	signing := header + "." + part(usualClaims)
	token := signing + "." + part(string(ed25519.Sign(private, []byte(signing))))

	var memo TxnMemo
	var wrong forged
	use := memo.Of(1, data)
	bad := signing + "." + part(strings.Repeat("x", ed25519.SignatureSize))
	if use.verify(bad, rules, usualNow, &wrong) != nil || len(memo.headers) != 0 {
		t.Error("a forged token is taken, or its header kept")
	}
	set, _ := json.Marshal(data["keys"].(map[string]any)["txn"])
	certificate, audience := [2]*ast.Term{certificate, ast.StringTerm(string(set))}, [2]*ast.Term{nameAudience, ast.StringTerm("d")}
	if !wrong.is(ast.StringTerm(bad), ast.ObjectTerm(certificate, audience)) {
		t.Errorf("%v is not known to be forged", wrong)
	}
	time := [2]*ast.Term{ast.StringTerm("time"), ast.NumberTerm("1")}
	for _, call := range []struct {
		token       string
		constraints [][2]*ast.Term
	}{
		{bad, [][2]*ast.Term{certificate}}, {bad, [][2]*ast.Term{certificate, audience, time}}, {bad, [][2]*ast.Term{audience, time}},
		{token, [][2]*ast.Term{certificate, audience}}, {"", [][2]*ast.Term{certificate, audience}},
	} {
		if wrong.is(ast.StringTerm(call.token), ast.ObjectTerm(call.constraints...)) {
			t.Errorf("%s is forged, by %v", call.token, call.constraints)
		}
	}
	if use.verify(token, rules, usualNow, &wrong) == nil || len(memo.headers) != 1 || len(memo.sets) != 1 {
		t.Error("a good token is refused, or its header is not kept")
	}
	if use.verify(token, rules, usualNow, &wrong) == nil || use.verify(bad, rules, usualNow, &wrong) != nil {
		t.Error("a header that is known verifies another token")
	}
	swapped := part(`{"typ":"txntoken+jwt","alg":"ES256","kid":"k"}`) + "." + part(usualClaims)
	if use.verify(swapped+"."+part(string(ed25519.Sign(private, []byte(swapped)))), rules, usualNow, &wrong) != nil {
		t.Error("a key verifies with another algorithm")
	}
	for _, other := range []*TxnRules{{Keys: "other", Audience: "d"}, {Keys: "txn", Audience: "e"}, {Keys: "txn"}} {
		if use.verify(token, other, usualNow, &wrong) != nil {
			t.Errorf("%v takes it", *other)
		}
	}
	// The keys of a snapshot are not another one's.
	if memo.Of(2, nil).verify(token, rules, usualNow, &wrong) != nil {
		t.Error("a snapshot without the key takes the token")
	}
	if use.verify(token, rules, usualNow, &wrong) == nil || len(memo.headers) != 0 {
		t.Error("an older snapshot's evaluation goes without its keys, or leaves them to a newer one")
	}
}
