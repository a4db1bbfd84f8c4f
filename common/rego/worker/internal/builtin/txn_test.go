package builtin

import (
	"encoding/base64"
	"strings"
	"testing"
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
	f.Fuzz(func(t *testing.T, content []byte) { isPlainJSON(content) })
}
