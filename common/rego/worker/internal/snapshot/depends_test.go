package snapshot

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"notp.core-platform.internal/notp-pdp/internal/builtin"
	"notp.core-platform.internal/notp-pdp/internal/frame"
)

// depends asks whether a result depends on hidden values, "a.b"; "" is the whole input.
func (w *world) depends(path, input, recorded string, hidden ...string) string {
	w.t.Helper()
	seen, err := builtin.ReadRecorded([]byte(recorded), true)
	if err != nil {
		w.t.Fatal(err)
	}
	request := frame.Replay{Eval: ask(path, input, 0)}
	request.Time = 1_700_000_000_000_000_000
	for _, each := range hidden {
		var names []string
		if each != "" {
			names = strings.Split(each, ".")
		}
		request.Hidden = append(request.Hidden, names)
	}
	decision := w.engine.Depends(request, &builtin.Meter{Recorded: seen})
	if decision.Failure != nil {
		return decision.Failure.Error()
	}
	return string(decision.Outcomes[0].Value)
}

const lookingPolicy = `package looks

default allow := false

allow if input.amount < data.looks.limits.max

default guarded := false

guarded if {
	input.amount < 10
	input.secret == "x"
}

who := input.user.name

copied := object.remove(input, ["secret"])

keys := [k | some k, _ in input]

values := [v | some v in input.user]

walked := [p | walk(input, [p, "x"])]

named := input.user[input.key]

passed := size(input)

size(x) := count(x)

replaced := x if {
	x := who with input as {"user": {"name": "n"}}
}

listed := input.list[0]

every_small if every n in input.list {
	n < 10
}

absent if not input.user.secret

chance := [rand.intn("a", 10), time.now_ns(), input.amount]

nothing := 1 if input.amount > 100

either := 1 if input.amount > 100

else := 2

either_secret := 1 if input.secret

else := 2

indirect := guarded

set contains x if some x in input.list

failing := 1 / input.zero

clash := 1 if input.amount

clash := 2 if input.amount
`

func TestWhatAResultDependsOn(t *testing.T) {
	w := newWorld(t)
	w.activate(release{modules: map[string]string{"looks.rego": lookingPolicy}, documents: map[string]string{"looks/limits": `{"max": 50}`}})
	const input = `{"amount": 5, "user": {"name": "ada", "other": 1}, "key": "name", "list": [1, 2], "zero": 0}`
	const recorded = `{"rand.intn":{"[\"a\",10]":3}}`
	for _, each := range []struct{ rule, hidden, want string }{
		{"allow", "secret", "false"},
		{"allow", "amount", "true"},
		{"allow", "", "true"},
		{"guarded", "secret", "true"},
		{"guarded", "user", "false"},
		{"indirect", "secret", "true"},
		{"who", "user.other", "false"},
		{"who", "user.name", "true"},
		{"who", "user", "true"},
		{"who", "user.name.first", "true"},
		{"copied", "user.secret", "true"},
		{"keys", "secret", "true"},
		{"values", "user.secret", "true"},
		{"values", "secret", "false"},
		{"walked", "user.secret", "true"},
		{"named", "user.name", "true"},
		{"named", "key", "true"},
		{"named", "secret", "false"},
		{"passed", "secret", "true"},
		{"replaced", "user.name", "true"}, // more is said than is so
		{"listed", "list", "true"},
		{"listed", "user", "false"},
		{"every_small", "list", "true"},
		{"every_small", "secret", "false"},
		{"absent", "user.secret", "true"},
		{"absent", "secret", "false"},
		{"chance", "secret", "false"},
		{"chance", "amount", "true"},
		{"nothing", "secret", "false"},
		{"nothing", "amount", "true"},
		{"either", "secret", "false"},
		{"either_secret", "secret", "true"},
		{"set", "secret", "false"},
		{"set", "list", "true"},
		{"clash", "secret", "true"}, // it fails: nothing is said
		{"missing", "secret", "false"},
	} {
		if got := w.depends("looks/"+each.rule, input, recorded, each.hidden); got != each.want {
			t.Errorf("data.looks.%s depends on input.%s: %s, want %s", each.rule, each.hidden, got, each.want)
		}
	}
	if got := w.depends("looks/who", input, "", "secret", "user.other"); got != "false" {
		t.Errorf("on none of several: %s", got)
	}
	if got := w.depends("looks/who", input, "", "secret", "user.name"); got != "true" {
		t.Errorf("on one of several: %s", got)
	}
	if got := w.depends("looks/chance", input, "", "secret"); got != "true" {
		t.Errorf("without what was recorded: %s", got)
	}
	if got := w.depends("looks/who", "{", "", "secret"); !strings.HasPrefix(got, "input: ") {
		t.Errorf("a malformed input: %s", got)
	}
}

// TestWhatIsSaidNotToMatterDoesNot gives hidden values other values, at random: where no dependence was
// found, the result stays.
func TestWhatIsSaidNotToMatterDoesNot(t *testing.T) {
	w := newWorld(t)
	w.activate(release{modules: map[string]string{"looks.rego": lookingPolicy}, documents: map[string]string{"looks/limits": `{"max": 50}`}})
	rules := []string{}
	for _, line := range strings.Split(lookingPolicy, "\n") {
		name, _, found := strings.Cut(line, " ")
		if found && name != "default" && name != "package" && name != "else" && !strings.ContainsAny(name, "(\t}") {
			rules = append(rules, name)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	values := []string{`1`, `500`, `"x"`, `"name"`, `{"name": "n", "secret": 1}`, `[100]`, `null`, `false`}
	names := []string{"amount", "secret", "user", "key", "list"}
	const recorded = `{"rand.intn":{"[\"a\",10]":3}}`
	compared := 0
	for range 1500 {
		rule, hidden := rules[random.IntN(len(rules))], names[random.IntN(len(names))]
		make := func(value string) string {
			var members []string
			for i, name := range names {
				text := values[(i*3+len(rule))%len(values)]
				if name == hidden {
					text = value
				}
				if text != "" {
					members = append(members, fmt.Sprintf("%q: %s", name, text))
				}
			}
			return "{" + strings.Join(members, ", ") + "}"
		}
		first, second := make(""), make(values[random.IntN(len(values))])
		if w.depends("looks/"+rule, first, recorded, hidden) != "false" {
			continue
		}
		compared++
		before := w.replay("looks/"+rule, first, recorded, 7)
		after := w.replay("looks/"+rule, second, recorded, 7)
		if before.Defined != after.Defined || string(before.Value) != string(after.Value) {
			t.Fatalf("data.looks.%s does not depend on input.%s, and is %s with %s and %s with %s", rule, hidden, before.Value, first, after.Value, second)
		}
	}
	if compared < 200 {
		t.Errorf("only %d were compared", compared)
	}
}
