package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Edge cases. All are JSON texts, because what a number is depends on how it is written.
var (
	numbers = []string{"0", "1", "-1", "2", "3", "5", "7", "10", "42", "100", "0.1", "0.2", "0.3", "1.5", "-2.5", "1.0",
		"1e3", "1e-7", "9007199254740993", "18446744073709551616", "12345678901234567890123", "-9223372036854775809",
		"0.30000000000000004", "3.14159", "1e21", "255", "-0"}
	texts = []string{"", "a", "b", "alice", "bob", "admin", "Grüße", "日本語", "e\u0301", "a:b:c", "a/b/c", "10.1.2.3",
		"::ffff:10.1.2.3", "2024-02-29T12:00:00Z", "v1.2.3", "1.2.3-rc.1+b", "x@example.com", "😀 ok", "  padded\t",
		"A-b_C", "100Mi", "1h30m", "ΑΒΓ", "é", "<&>\u2028", "a\u0000b", "aaa", "42", "-7.50", "true", "null"}
	names  = []string{"alice", "bob", "carol", "dave", "Ümit"}
	roles  = []string{"admin", "editor", "viewer", "guest"}
	keys   = []string{"a", "b", "c", "read", "write", "x y", "in", "if", "not", "contains"}
	moment = []string{"2024-01-31T00:00:00Z", "2024-02-29T23:59:59.999Z", "2023-12-31T12:30:00+02:00", "1999-03-31T01:00:00Z"}
)

// random is a source with the few things that generation needs.
type random struct{ *rand.Rand }

func newRandom(seed int64) *random {
	return &random{rand.New(rand.NewPCG(uint64(seed), 0x6e6f7470))}
}

func (r *random) pick(from ...string) string { return from[r.IntN(len(from))] }

func (r *random) chance(percent int) bool { return r.IntN(100) < percent }

func (r *random) number() string { return r.pick(numbers...) }

// text is a string literal that is one of JSON and of Rego.
func (r *random) text() string { return quoted(r.pick(texts...)) }

func quoted(text string) string {
	raw, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func (r *random) list(most int, each func() string) string {
	var parts []string
	for range r.IntN(most + 1) {
		parts = append(parts, each())
	}
	return "[" + strings.Join(parts, ",") + "]"
}

func (r *random) object(most int, value func() string) string {
	var parts []string
	seen := map[string]bool{}
	for range r.IntN(most + 1) {
		if key := r.pick(keys...); !seen[key] {
			seen[key] = true
			parts = append(parts, quoted(key)+":"+value())
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// any is any JSON value.
func (r *random) any(depth int) string {
	kinds := 6
	if depth <= 0 {
		kinds = 4
	}
	switch r.IntN(kinds) {
	case 0:
		return r.pick("true", "false", "null")
	case 1:
		return r.number()
	case 2, 3:
		return r.text()
	case 4:
		return r.list(3, func() string { return r.any(depth - 1) })
	default:
		return r.object(3, func() string { return r.any(depth - 1) })
	}
}

func (r *random) item() string {
	return fmt.Sprintf(`{"id":%s,"price":%s,"qty":%s,"tags":%s}`, r.text(), r.number(), r.pick("0", "1", "2", "3"),
		r.list(2, r.text))
}

// input is a request of the shape that programs know; now and then a part is absent or of another type.
func (r *random) input() json.RawMessage {
	if r.chance(4) {
		return json.RawMessage(r.any(2))
	}
	user := fmt.Sprintf(`{"name":%s,"role":%s,"age":%s,"active":%s,"tags":%s}`, quoted(r.pick(names...)),
		quoted(r.pick(roles...)), r.number(), r.pick("true", "false"), r.list(3, r.text))
	members := []struct{ name, value string }{
		{"user", user}, {"items", r.list(4, r.item)}, {"n", r.number()}, {"k", r.number()}, {"s", r.text()},
		{"t", r.text()}, {"xs", r.list(5, r.number)}, {"ss", r.list(4, r.text)}, {"m", r.object(4, r.number)},
		{"o", r.object(3, func() string { return r.any(2) })}, {"any", r.any(3)}, {"when", quoted(r.pick(moment...))},
		{"role", quoted(r.pick(roles...))}, {"if", r.object(2, r.text)}, {"violations", r.list(2, r.text)},
		{"mixed", r.list(4, func() string { return r.any(1) })}, {"flag", r.pick("true", "false")},
	}
	var parts []string
	for _, member := range members {
		value := member.value
		switch {
		case r.chance(7):
			continue
		case r.chance(4):
			value = r.any(1)
		}
		parts = append(parts, quoted(member.name)+":"+value)
	}
	return json.RawMessage("{" + strings.Join(parts, ",") + "}")
}
