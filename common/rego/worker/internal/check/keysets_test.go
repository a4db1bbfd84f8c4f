package check

import (
	"strings"
	"testing"
)

const readable = `{"kty": "EC", "crv": "P-256", "kid": "a", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
	"y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`

func TestKeySets(t *testing.T) {
	for _, each := range []string{
		`null`, `7`, `{}`, `{"kid": "b"}`, `{"kty": 7}`, `{"kty": "PQ", "kid": "b"}`, `{"kty": "RSA", "e": "AQAB"}`,
		`{"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"}`, `{"kty": "OKP", "crv": "Ed25519", "x": "AA"}`,
		`{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}`, strings.Replace(readable, `"a"`, `7`, 1),
		strings.Replace(readable, `"kid"`, `"use": 7, "kid"`, 1),
	} {
		m := &model{files: map[string]string{
			"keys/login/data.json":      `{"keys": [` + readable + "," + each + `]}`,
			"keys/partner/data.json":    `{"keys": [` + readable + `]}`,
			"shop/keys/login/data.json": `{"keys": [` + each + `]}`,
			"shop/policy.rego":          "package shop\n\nallow if input.x\n",
		}}
		for range 2 { // the second time what is good is known
			report := m.ask(t)
			found := places(report)
			if len(found) != 1 || !strings.HasPrefix(found[0], "warning keys/login/data.json:0 key_set: keys[1]") {
				t.Errorf("%s: %q", each, found)
			}
			m.again(report)
		}
	}
	for _, each := range []string{`[]`, `{}`, `{"keys": {}}`, `7`, `{"keys": []}`} {
		m := &model{files: map[string]string{"keys/login/data.json": each}}
		if found := places(m.ask(t)); len(found) != 0 {
			t.Errorf("%s: %q", each, found)
		}
	}
}
