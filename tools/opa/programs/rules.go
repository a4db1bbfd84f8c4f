package main

import (
	"fmt"
	"strings"
)

// rule makes the text of a rule, says what kind of value it has and where below the package.
func (g *generator) rule(s *scope, d *draft, name string) (rule, kind string, path []string) {
	one := []string{name}
	if g.chance(35) {
		return g.pick(hazards(s, name)...), anyOf, one
	}
	switch g.IntN(16) {
	case 0:
		return fmt.Sprintf("%s := %s", name, s.num(3)), number, one
	case 1:
		return fmt.Sprintf("%s := %s", name, s.str(3)), text, one
	case 2: // several bodies of one value
		return fmt.Sprintf("default %s := false\n\n%s if {\n%s}\n\n%s if {\n%s}", name, name, s.body(2), name, s.body(1)), truth, one
	case 3: // several values: a conflict may arise when it is asked
		return fmt.Sprintf("%s := %s if {\n%s}\n\n%s := %s if {\n%s}", name, s.num(1), s.body(1), name, s.num(1), s.body(1)), number, one
	case 4: // a chain
		return fmt.Sprintf("%s := %s if {\n%s} else := %s if {\n%s} else := %s", name, s.num(1), s.body(1), s.num(1), s.body(1), s.num(0)),
			number, one
	case 5:
		v := s.variable()
		inner := s.with(v, text)
		return fmt.Sprintf("%s contains %s if {\n\tsome %s in %s\n%s}", name, inner.str(1), v, s.set(1), inner.body(1)), group, one
	case 6: // keys may come twice with different values
		k, v := s.variable(), s.variable()
		inner := s.with(v, number).with(k, text)
		return fmt.Sprintf("%s[%s] := %s if {\n\tsome %s, %s in input.m\n%s}", name, s.pick(k, "lower("+k+")", inner.str(0)), inner.num(1), k, v,
			inner.body(1)), table, one
	case 7:
		x := s.variable()
		inner := s.with(x, number)
		return fmt.Sprintf("%s(%s) := %s", name, x, inner.num(2)), fNum, one
	case 8:
		x := s.variable()
		inner := s.with(x, text)
		return fmt.Sprintf("default %s(_) := \"none\"\n\n%s(%s) := %s if {\n%s}", name, name, x, inner.str(2), inner.body(1)), fText, one
	case 9:
		x, y := s.variable(), s.variable()
		inner := s.with(x, number).with(y, text)
		return fmt.Sprintf("%s(%s, %s) if {\n%s\t%s != \"\"\n\t%s < 100\n}\n\n%s(1, \"a\")", name, x, y, inner.body(1), y, x, name), fTruth, one
	case 10: // a head with a reference
		return fmt.Sprintf("%s.deep.value := %s\n\n%s.other[k] contains v if {\n\tsome k, v in input.o\n}", name, s.num(2), name), number,
			[]string{name, "deep", "value"}
	case 11:
		return fmt.Sprintf("%s[k].z[i] := v if {\n\tsome k in input.ss\n\tsome i, v in input.xs\n%s}", name, s.body(1)), anyOf, one
	case 12:
		return fmt.Sprintf("%s := {\"n\": %s, \"s\": %s, \"l\": %s, \"g\": %s}", name, s.num(1), s.str(1), s.nums(1), s.set(1)), anyOf, one
	case 13:
		return fmt.Sprintf("%s := %s", name, s.nums(3)), list, one
	case 14:
		v := s.variable()
		inner := s.with(v, number)
		return fmt.Sprintf("%s := {k: %s |\n\tsome k, %s in input.m\n%s}", name, inner.num(1), v, inner.body(1)), table, one
	default:
		return fmt.Sprintf("%s if {\n%s}", name, s.body(3)), truth, one
	}
}

// body is one to three expressions, each on a line.
func (s *scope) body(depth int) string {
	var all strings.Builder
	inner := s
	for range 1 + s.IntN(3) {
		switch {
		case s.chance(15):
			v := s.variable()
			all.WriteString("\t" + v + " := " + inner.num(depth-1) + "\n")
			inner = inner.with(v, number)
		case s.chance(15):
			v := s.variable()
			all.WriteString("\tsome " + v + " in " + inner.nums(depth-1) + "\n")
			inner = inner.with(v, number)
		case s.chance(10):
			v := s.variable()
			all.WriteString("\t" + v + " := " + inner.str(depth-1) + "\n")
			inner = inner.with(v, text)
		}
		all.WriteString("\t" + inner.condition(depth-1) + "\n")
	}
	return all.String()
}

// hazards are rules of which at least one engine had another opinion than OPA, and rules with built-ins
// whose results depend on details.
func hazards(s *scope, name string) []string {
	now := "time.now_ns()"
	if !s.clock {
		now = "time.parse_rfc3339_ns(input.when)"
	}
	is := func(format string, args ...any) string { return name + " := " + fmt.Sprintf(format, args...) }
	when := func(format string, args ...any) string { return name + " if " + fmt.Sprintf(format, args...) }
	with := func(term, modifier string) string {
		return fmt.Sprintf("%s := v if {\n\tv := %s with %s\n}", name, term, modifier)
	}
	all := func(term, body string) string { return name + " := [" + term + " | " + body + "]" }
	out := []string{
		// Negation.
		when("not count(input.violations) > 0"), when("not startswith(lower(input.s), \"a\")"),
		when("not input.n + 1 > %s", s.num(0)), when("not input.xs[count(input.xs) - 1] == 3"),
		when("not %s", s.condition(2)), when("not data.base.grants[input.role][0] == \"read\""),
		when("not {%s}", s.condition(1)), when("not { some x in input.xs; x > 3 }"), when("not (input.n > 1 and input.flag)"),
		when("(%s and %s)", s.condition(1), s.condition(1)), when("(%s or %s)", s.condition(1), s.condition(1)),
		when("(input.flag or input.user.active)"), when("(input.n > 1 or input.s == \"a\" and not input.flag)"),
		// Walking.
		all("[p, v]", "[p, v] := walk(input.o)"), all("[p, v]", "walk(data.base.tree, [p, v])"),
		all("v", "walk(input, [[\"user\", _], v])"), is("{concat(\"/\", [sprintf(\"%%v\", [x]) | some x in p]): v | walk(input.any, [p, v]); is_string(v)}"),
		// Numbers.
		when("0.1 + 0.2 == 0.3"), is("[0.1 + 0.2, 1 / 3, 10 / 4, 7 %% 3, -7 %% 3, 2.5 * 2]"),
		is("[input.n * 18446744073709551616, 12345678901234567890123 + 1, 9007199254740993 - 1]"),
		is("[round(2.5), round(-2.5), ceil(1.1), floor(-1.1), abs(-3.5), 1e3, 1.0, 100000000000000000000]"),
		is("[format_int(12345678901234567890123, 16), to_number(\"1e5\"), to_number(\"12345678901234567890123\")]"),
		is("sum([0.1, 0.2, input.n])"), is("[1 == 1.0, 1e0 == 1, {1: \"a\"} == {1.0: \"a\"}, {1, 1.0}]"), is("input.n / input.k"),
		is("[x | some x in [1, 10, 2, \"a\", null, true, [1], {\"a\": 1}]; x < input.any]"), is("bits.lsh(1, 70)"),
		is("bits.rsh(-9, 1)"), is("bits.negate(input.n)"), is("numbers.range_step(1, 10, 3)"),
		is("[x | some x in numbers.range(1, 5); x %% 2 == 0]"), is("max([x | some x in input.mixed])"), is("sort(input.mixed)"),
		// Texts.
		is("sprintf(\"%%d %%s\", [1])"), is("sprintf(\"%%s\", [1, 2])"), is("sprintf(\"%%5.2f|%%-8s|%%+d|%%x|%%q|%%v\", [input.n, input.s, input.k, 255, input.t, input.o])"),
		is("sprintf(\"%%v %%v\", [input.any, {1, \"a\"}])"), is("sprintf(\"%%08b|%%e|%%t|%%%%\", [5, input.n, input.flag])"),
		is("[strings.count(input.s, \"a\"), strings.replace_n({\"a\": \"b\", \"b\": \"c\"}, input.s)]"),
		is("[indexof(input.s, \"日\"), indexof_n(input.s, \"a\"), substring(input.s, 1, 2), count(input.s)]"),
		is("[upper(input.s), lower(input.s), trim(input.s, \" \\t\"), strings.reverse(input.s)]"),
		is("[split(input.s, \"\"), split(input.s, \":\"), concat(\"-\", split(input.s, \"/\"))]"),
		is("[x | some x in input.ss; strings.any_prefix_match(x, [\"a\", \"v1\"])]"), is("strings.split_n(input.s, \":\", 2)"),
		is("$\"{input.user.name} has {count(input.items)} of {input.missing}\""),
		is("strings.render_template(\"hello {{.name}}\", {\"name\": input.s})"), is("type_name(input.any)"),
		is("regex.find_all_string_submatch_n(`(\\p{L})(\\d)?`, input.s, -1)"), is("regex.split(`[:/]`, input.s)"),
		is("regex.find_n(`\\p{Lu}|[a-c]`, input.s, 3)"), is("regex.match(`^[\\p{L}\\p{M}]+$`, input.s)"), is("regex.is_valid(input.s)"),
		is("regex.template_match(\"urn:{.*}:x\", \"urn:a:x\", \"{\", \"}\")"), is("regex.globs_match(\"a.*\", \"a.b\")"),
		is("[glob.match(\"a:*:c\", [\":\"], input.s), glob.match(\"*\", null, input.s), glob.match(\"**\", [], \"a.b\"), glob.quote_meta(input.s)]"),
		is("[glob.match(p, [], input.s) | some p in [\"*.b\", \"[!a]*\", \"{a,b,日*}\", \"a/**\", \"?\"]]"),
		// Places, versions, time, units.
		is("[net.cidr_contains(\"::ffff:10.0.0.0/104\", \"10.1.2.3\"), net.cidr_contains(\"10.0.0.0/8\", \"::ffff:10.1.2.3\"), net.cidr_intersects(\"10.0.0.0/8\", \"10.1.0.0/16\")]"),
		is("net.cidr_expand(\"10.0.0.0/30\")"), is("net.cidr_merge([\"10.0.0.0/9\", \"10.128.0.0/9\"])"), is("net.cidr_is_valid(input.s)"),
		is("net.cidr_contains_matches([\"10.0.0.0/8\", \"1.1.1.1\"], {\"a\": \"10.1.0.0/16\"})"),
		is("[semver.compare(\"v1.2.3\", \"1.2.3\"), semver.is_valid(\"v1.2.3\")]"), is("semver.compare(\"1.2.3-a\", \"1.2.3\")"),
		is("time.add_date(time.parse_rfc3339_ns(\"2024-01-31T00:00:00Z\"), 0, 1, 0)"), is("time.date(time.add_date(time.parse_rfc3339_ns(input.when), 0, 1, 0))"),
		is("time.diff(time.parse_rfc3339_ns(input.when), time.parse_rfc3339_ns(\"2020-02-29T00:00:00Z\"))"),
		is("[time.clock([time.parse_rfc3339_ns(input.when), \"Europe/Zurich\"]), time.weekday(%s), %s]", now, now),
		is("time.format([%s, \"America/New_York\", \"RFC1123\"])", now), is("time.parse_ns(\"2006-01-02\", \"2024-02-30\")"),
		is("[units.parse(\"1.5Ki\"), units.parse_bytes(\"10MB\"), units.parse(input.s)]"), is("uuid.parse(\"00000000-0000-4000-8000-000000000000\")"),
		// Structures.
		is("json.patch(input.o, [{\"op\": \"add\", \"path\": \"/new\", \"value\": input.n}, {\"op\": \"remove\", \"path\": \"a\"}])"),
		is("[json.filter(input, [\"user/name\", \"items/0/id\"]), json.remove(input.o, [\"a\"])]"), is("json.unmarshal(json.marshal(input.any))"),
		is("[json.is_valid(input.s), yaml.is_valid(input.s), yaml.unmarshal(\"a: [1, 0x10, 1e3, yes]\"), yaml.marshal({\"b\": 1, \"a\": [true]})]"),
		// One member of a schema at a time: OPA lists the errors of several in no order.
		is("json.match_schema(input, {\"properties\": {\"s\": {\"type\": \"string\", \"format\": \"%s\"}}})",
			s.pick("email", "date-time", "ipv4", "ipv6", "uri", "regex", "uuid", "hostname")),
		is("json.match_schema(input, {\"properties\": {\"n\": {\"type\": \"integer\"}}})"),
		is("json.match_schema(input.s, {\"type\": \"string\", \"format\": \"%s\"})", s.pick("email", "date-time", "ipv4", "uri", "date", "time")),
		is("[object.union(input.o, {\"a\": {\"z\": 1}}), object.remove(input.m, [\"a\"]), object.filter(input.m, {\"b\"})]"),
		is("object.union_n([input.o, data.base.limits, {\"a\": input.n}])"), is("object.get(input, [\"user\", \"tags\", 0], \"none\")"),
		is("[object.subset({\"a\": {\"b\": 1, \"c\": 2}}, {\"a\": {\"b\": 1}}), object.keys(input.m)]"), is("json.marshal_with_options(input.o, {\"pretty\": true})"),
		is("graph.reachable({\"a\": {\"b\"}, \"b\": [\"c\", \"a\"], \"c\": []}, {\"a\"})"), is("graph.reachable_paths({\"a\": [\"b\", \"c\"], \"b\": [\"c\"], \"c\": []}, {\"a\"})"),
		is("[base64.is_valid(input.s), base64url.encode_no_pad(input.s), hex.encode(input.s), urlquery.encode_object({\"a\": [input.s, \"b\"]}), urlquery.decode_object(\"a=1&b=%%20&a=2\")]"),
		is("[crypto.hmac.sha256(input.s, \"k\"), crypto.sha256(input.s), crypto.md5(input.s)]"), is("io.jwt.decode(\"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln\")"),
		is("[array.concat(input.xs, [1]), array.slice(input.xs, 1, 3), array.reverse(input.ss), array.flatten([[1], 2, [[3]]])]"),
		is("[intersection({{1, 2}, {2}}), union({{1}, {\"a\"}}), {1, 2} - {2}, {x | some x in input.xs} & {1, 2, 3}]"),
		is("{x: y | some x, y in input.m; y > 0}"), is("{upper(k): v | some k, v in input.o}"), is("[[x, y] | x := 1; y := 2]"),
		// Errors of one expression leave the rest.
		is("[x | some v in input.mixed; x := lower(v)]"), is("[x | some v in input.mixed; x := v + 1]"), is("count(input.n)"),
		is("{v | some v in input.mixed; not startswith(v, \"a\")}"), is("[y | some x in input.xs; y := 1 / x]"), is("input.s + 1"),
		// Keywords as names of members, dynamic references, base data beside rules.
		is("[input.if.contains, data.base[\"if\"][\"in\"], input[\"if\"]]"), is("input.if.not"), is("data.base.if.in"),
		is("{k | some k; data.base.grants[k]}"), is("{role | some role; \"write\" in data.base.grants[role]}"), is("data.org.extra[input.s]"),
		is("data.org.shop.conf"), is("[data.org.shop.conf.limit, data.nowhere.x]"), is("data.org.lib"), is("data.org.shop.rules"),
		is("[x | x := data.org[_].conf]"), is("data[\"base\"].words"), is("{p | some p; data.org.lib[p]}"), is("data.base.grants[input.user.role][0]"),
		is("person.name"), "k_" + name + " := input.n\n\n" + is("self.k_%s", name), is("x.r1_0"), with("data.org.shop", "data.org.shop.conf as {\"limit\": 1}"),
		with("data.base.limits", "data.base.limits.a as 7"), with("count(input.xs)", "count as 5"),
		"w_" + name + "(x) := x + input.n\n\n" + with("w_"+name+"(2)", "input as {\"n\": 1e3}"), with("data.org", "input as {}"),
		"c_" + name + "(_) := 9\n\n" + with("count(input.xs) + sum([1])", "count as c_"+name), with("time.now_ns()", "time.now_ns as 12"),
		is("rego.metadata.rule()"), is("rego.metadata.chain()"), "# METADATA\n# title: a rule\n# custom:\n#   level: 3\n" + is("rego.metadata.rule().custom.level"),
		// Several definitions, heads, partial rules.
		name + " := 1 if input.n > 1\n\n" + name + " := 2 if input.n > 2", name + " contains 1\n\n" + name + " contains \"1\"\n\n" + name + " contains x if some x in input.xs",
		name + "[k] := 1 if some k in input.ss\n\n" + name + "[k] := 2 if some k in input.user.tags", name + " := x if {\n\tsome x in input.xs\n}",
		"default " + name + " := {\"a\": 1}\n\n" + name + " := input.o if input.flag", name + ".a.b := 1\n\n" + name + ".a.c := input.n\n\n" + name + ".z[k] := v if some k, v in input.m",
		name + " if every x in input.xs { x > 0 }", name + " if {\n\tevery k, v in input.m {\n\t\tv > 0\n\t\tk != \"z\"\n\t}\n}",
		name + " := v if {\n\tsome i\n\tinput.items[i].qty > 1\n\tv := input.items[i].id\n}", name + " := 1 if false else := 2 if input.flag else := 3",
		name + "_f(x) := 1 if x > 0\n\n" + name + "_f(x) := 2 if x < 10\n\n" + is("%s_f(input.n)", name), name + "_g([a, b]) := a + b\n\n" + is("%s_g(input.xs)", name),
		name + "_h(\"a\", _) := 1\n\n" + name + "_h(_, \"b\") := 2\n\n" + is("%s_h(input.s, input.t)", name), "limit := 4\n\n" + is("limit + 1"), "other := 4\n\n" + is("other"),
	}
	return out
}
