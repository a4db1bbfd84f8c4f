package builtin

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

func TestPlainTokens(t *testing.T) {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	header, signature := part(`{"alg":"ES256"}`), part("0123456789")
	deep := func(levels int) string {
		return `{"x":` + strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1) + "}"
	}
	for _, each := range []struct {
		claims string
		plain  bool
	}{
		{`{}`, true},
		{`{"a":{"b":[1,-2.5e3,true,null,"c\u00e9\"\\"]},"b":"a:b","c" : ":"}`, true},
		{`{"a":[{"b":1},{"b":2}],"b":{"a":{"b":3}}}`, true},
		{`{"a":18446744073709551615,"b":-9223372036854775808,"c":1e308,"d":1e-400}`, true},
		{deep(16), true},
		{deep(17), false},
		{`{"a":1,"a":1}`, false},
		{`{"a":1,"\u0061":1}`, false},
		{`{"x":[{"y":{"b":1,"c":2,"b":3}}]}`, false},
		{`{"a":18446744073709551616}`, false},
		{`{"a":-9223372036854775809}`, false},
		{`{"a":1e309}`, false},
		{`{"a":1e0001}`, false},
		{`{"a":"\ud800"}`, false},
		{`{"\ud800":1}`, false},
		{"{\"a\":\"\xff\"}", false},
		{`{"a":"\ufffd"}`, false},
		{"{\"a\":\"\uFFFD\"}", false},
		{`{"a":1} {}`, false},
		{`{"a":1`, false},
	} {
		if got := isPlainToken(header + "." + part(each.claims) + "." + signature); got != each.plain {
			t.Errorf("%s is plain: %v, want %v", each.claims, got, each.plain)
		}
	}
	good := header + "." + part(`{}`) + "." + signature
	for _, token := range []string{"", "..", good + "=", good + "\n", strings.Replace(good, ".", "..", 1), good + "." + good,
		good[:len(good)-1] + "R", strings.Replace(good, "e", "e\r\n", 1)} {
		if isPlainToken(token) {
			t.Errorf("%q is plain", token)
		}
	}
	if !isPlainToken(good) || !isPlainToken(good[:strings.LastIndex(good, ".")+1]) {
		t.Error("a good token, or one that a record has without its signature, is not plain")
	}
}

func FuzzPlainJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1e3,"\u0061",{"b":null}]}`))
	f.Add([]byte(`{"a":{"b":[{},[],true,false,-0.0,"\n"]},"c" : 1e-3 }`))
	f.Fuzz(func(t *testing.T, content []byte) {
		value, ok := readPlainJSON(content)
		if !ok {
			return
		}
		var plain any
		if err := util.UnmarshalJSON(content, &plain); err != nil {
			t.Fatal(err)
		}
		if want := ast.MustInterfaceToValue(plain); value.Compare(want) != 0 || value.String() != want.String() {
			t.Fatalf("%s, want %s", value, want)
		}
	})
}

func TestTheMemoIsBounded(t *testing.T) {
	var memo TxnMemo
	use := memo.Of(3, nil)
	claims := ast.MustParseTerm(`{"iat": 0, "exp": 10}`)
	long := strings.Repeat("x", txnTokenMax-8)
	for i := range 20_000 {
		token := fmt.Sprint(i)
		if i >= 10_000 {
			token += long
		}
		use.keep(token, claims)
		if len(memo.entries) > memoEntriesMax || memo.bytes > memoBytesMax {
			t.Fatalf("%d tokens of %d bytes are remembered", len(memo.entries), memo.bytes)
		}
		if use.recall(token, 5) == nil {
			t.Fatal("the newest is forgotten")
		}
	}
	bytes := 0
	for token := range memo.entries {
		bytes += len(token)
	}
	if bytes != memo.bytes {
		t.Errorf("%d bytes are counted, want %d", memo.bytes, bytes)
	}
	memo.Of(2, nil).keep("old", claims)
	if memo.Of(2, nil).recall("old", 5) != nil || memo.Of(4, nil).recall("19999"+long, 5) != nil {
		t.Error("another snapshot's tokens are recalled")
	}
	memo.Of(4, nil).keep("new", claims)
	if len(memo.entries) != 1 || memo.Of(4, nil).recall("new", 10) != nil || memo.Of(4, nil).recall("new", 9) == nil {
		t.Error("a newer snapshot begins anew, and exp ends a token")
	}
}
