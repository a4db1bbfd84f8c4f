package check

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// keySet is the code of a warning that OPA does not have.
const keySet = "key_set"

// aToken is well formed. The built-in reads the keys before it looks at the signature.
const aToken = "eyJhbGciOiJFUzI1NiJ9.e30.AAAA"

// checkKeySets finds in documents at keys/<issuer> what the engine's own built-ins for tokens cannot
// read: one such key makes them refuse the whole set, although a reader should skip it (RFC 7517
// section 5), and policies deny for a reason that nobody sees.
func (c *checker) checkKeySets() {
	for i := range c.q.Documents {
		d := &c.q.Documents[i]
		if d.IsTest || len(d.Mount) != 2 || d.Mount[0] != "keys" {
			continue
		}
		fingerprint := goodKeys + digestOf(c.salt, d.Hash)
		if c.known[fingerprint] {
			c.good(fingerprint)
			continue
		}
		value, problem, ok := c.content.Document(d.hash)
		if !ok {
			c.want(&d.file)
			continue
		}
		if problem != nil {
			continue // it has its own finding
		}
		found := unreadableKeys(value)
		for _, message := range found {
			c.found.add(Finding{Path: d.Path, Code: keySet, Message: message, Warning: true})
		}
		if len(found) == 0 {
			c.good(fingerprint)
		}
	}
}

// unreadableKeys returns a message for each. What is no key set is left to others.
func unreadableKeys(document any) []string {
	set, _ := document.(map[string]any)
	keys, _ := set["keys"].([]any)
	var found []string
	for i, key := range keys {
		text, err := json.Marshal(map[string]any{"keys": []any{key}})
		if err == nil {
			err = readKeys(string(text))
		}
		if err == nil {
			continue
		}
		name := fmt.Sprintf("keys[%d]", i)
		if object, isObject := key.(map[string]any); isObject {
			if kid, isText := object["kid"].(string); isText && kid != "" {
				name += fmt.Sprintf(" (kid %.80q)", kid)
			}
		}
		found = append(found, fmt.Sprintf("%s cannot be read, and OPA's io.jwt built-ins refuse the whole set for it: "+
			"take it out, or hand them a set without it (%s)", name, reason(err)))
	}
	return found
}

// readKeys lets the engine read a key set.
func readKeys(text string) error {
	verify := topdown.GetBuiltin(ast.JWTVerifyES256.Name)
	return verify(topdown.BuiltinContext{}, []*ast.Term{ast.StringTerm(aToken), ast.StringTerm(text)},
		func(*ast.Term) error { return nil })
}

var readersPath = regexp.MustCompile(`^(jwk\.\w+: |failed to unmarshal JSON into key \(\*jwk\.\w+\): )+`)

// reason leaves the path through the reader's functions out. It says what is wrong with a key, and
// quotes none of it but names of types.
func reason(err error) string {
	text := err.Error()
	if at := strings.Index(text, `in "keys": `); at >= 0 {
		text = text[at+len(`in "keys": `):]
	}
	return readersPath.ReplaceAllString(text, "")
}
