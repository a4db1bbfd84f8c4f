package main

import (
	"fmt"
	"strings"
)

// Types of what can be named.
const (
	number = "number"
	text   = "text"
	truth  = "truth"
	list   = "list"   // of numbers
	group  = "group"  // set of texts
	table  = "table"  // numbers by text
	anyOf  = "any"    // whatever it is
	fNum   = "fNum"   // function of a number, gives a number
	fText  = "fText"  // function of a text, gives a text
	fTruth = "fTruth" // function of a number and a text, gives true
)

// symbol is a rule that other packages can name.
type symbol struct {
	path []string // below data
	kind string
}

// scope is what an expression can name.
type scope struct {
	*random
	symbols []symbol          // of packages that may be reached from here
	aliases map[string]string // names in this module, by path of the package
	vars    map[string]string // kinds of local variables
	fresh   *int              // counts local variables
	clock   bool              // may be read
}

func (s *scope) variable() string {
	*s.fresh++
	return fmt.Sprintf("v%d", *s.fresh)
}

// with returns a scope with one more local variable.
func (s *scope) with(name, kind string) *scope {
	inner := *s
	inner.vars = map[string]string{name: kind}
	for other, kind := range s.vars {
		inner.vars[other] = kind
	}
	return &inner
}

// known names something of a kind: a variable, or a rule by one of the ways to name it.
func (s *scope) known(kind string) (string, bool) {
	var all []string
	for name, k := range s.vars {
		if k == kind {
			all = append(all, name)
		}
	}
	// Maps have no order, and a seed must give one program.
	sortTexts(all)
	for _, each := range s.symbols {
		if each.kind == kind {
			all = append(all, s.name(each))
		}
	}
	if len(all) == 0 {
		return "", false
	}
	return s.pick(all...), true
}

func (s *scope) name(each symbol) string {
	for cut := len(each.path) - 1; cut > 0; cut-- {
		if alias := s.aliases[strings.Join(each.path[:cut], "/")]; alias != "" && s.chance(80) {
			return alias + reference(each.path[cut:])
		}
	}
	return "data" + reference(each.path)
}

// reference writes segments as a suffix of a reference.
func reference(path []string) string {
	var all strings.Builder
	for _, segment := range path {
		if plain(segment) {
			all.WriteString("." + segment)
		} else {
			all.WriteString("[" + quoted(segment) + "]")
		}
	}
	return all.String()
}

func plain(segment string) bool {
	for i, c := range segment {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return segment != ""
}

func (s *scope) num(depth int) string {
	if depth <= 0 || s.chance(25) {
		if name, ok := s.known(number); ok && s.chance(40) {
			return name
		}
		return s.pick("input.n", "input.k", "input.user.age", "data.base.limits.a", "data.base.limits.b", "1", "2", "3",
			"0.1", "0.2", "10", "1e3", "9007199254740993", "18446744073709551616", "input.m.a", "input.xs[0]", "0.5")
	}
	d := depth - 1
	switch s.IntN(22) {
	case 0:
		return "(" + s.num(d) + " + " + s.num(d) + ")"
	case 1:
		return "(" + s.num(d) + " - " + s.num(d) + ")"
	case 2:
		return "(" + s.num(d) + " * " + s.num(d) + ")"
	case 3:
		return "(" + s.num(d) + " / " + s.num(d) + ")"
	case 4:
		return "(" + s.num(d) + " % " + s.num(d) + ")"
	case 5:
		return "count(" + s.pick(s.nums(d), s.str(d), "input.m", "input.items", s.set(d)) + ")"
	case 6:
		return s.pick("sum", "max", "min", "product") + "(" + s.nums(d) + ")"
	case 7:
		return s.pick("abs", "round", "ceil", "floor") + "(" + s.num(d) + ")"
	case 8:
		return "to_number(" + s.str(d) + ")"
	case 9:
		return "strings.count(" + s.str(d) + ", " + s.str(0) + ")"
	case 10:
		return s.pick("indexof", "strings.count") + "(" + s.str(d) + ", " + s.str(0) + ")"
	case 11:
		if name, ok := s.known(fNum); ok {
			return name + "(" + s.num(d) + ")"
		}
		return s.num(d)
	case 12:
		if name, ok := s.known(table); ok {
			return name + "[" + s.str(0) + "]"
		}
		return "object.get(input.m, " + s.str(0) + ", " + s.num(0) + ")"
	case 13:
		return s.pick("bits.and", "bits.or", "bits.xor") + "(" + s.num(0) + ", " + s.num(0) + ")"
	case 14:
		return "numbers.range(" + s.pick("1", "3", "-2") + ", " + s.pick("2", "5", "0") + ")[" + s.pick("0", "1", "2") + "]"
	case 15:
		return s.pick("units.parse", "units.parse_bytes") + "(" + s.pick(`"10K"`, `"1.5Gi"`, `"100m"`, "input.s", `"0.1M"`, `"12"`) + ")"
	case 16:
		return "semver.compare(" + s.version() + ", " + s.version() + ")"
	case 17:
		return "time.parse_rfc3339_ns(" + s.pick("input.when", quoted(s.pick(moment...))) + ")"
	case 18:
		return "time.add_date(time.parse_rfc3339_ns(" + s.pick("input.when", quoted(s.pick(moment...))) + "), " +
			s.pick("0", "1", "-1") + ", " + s.pick("1", "-1", "13") + ", " + s.pick("0", "1", "-31") + ")"
	case 19:
		return "time.parse_duration_ns(" + s.pick(`"1h30m"`, `"250ms"`, "input.s", `"-3s"`) + ")"
	case 20:
		return "object.get(" + s.pick("input.m", "input", "data.base.limits") + ", " + s.str(0) + ", " + s.num(d) + ")"
	default:
		return "round(" + s.num(d) + " * 100) / 100"
	}
}

func (s *scope) version() string {
	return s.pick(`"v1.2.3"`, `"1.2.3"`, `"1.2.3-rc.1"`, `"1.10.0"`, `"1.2.3+build"`, "input.s", `"1.2"`, `"0.0.1-alpha"`)
}

func (s *scope) str(depth int) string {
	if depth <= 0 || s.chance(25) {
		if name, ok := s.known(text); ok && s.chance(40) {
			return name
		}
		return s.pick("input.s", "input.t", "input.user.name", "input.user.role", "input.ss[0]", s.text(), s.text(), `"a"`, `"-"`)
	}
	d := depth - 1
	switch s.IntN(18) {
	case 0:
		return s.pick("lower", "upper", "trim_space", "strings.reverse", "base64.encode", "hex.encode", "urlquery.encode") +
			"(" + s.str(d) + ")"
	case 1:
		return "concat(" + s.pick(`","`, `"/"`, `""`) + ", " + s.pick("input.ss", s.set(d), "["+s.str(0)+", "+s.str(0)+"]") + ")"
	case 2:
		return "sprintf(" + s.pick(`"%v-%v"`, `"%d %s"`, `"%5.2f|%q"`, `"%s"`, `"%x %v %v"`, `"%-8s|%08b"`, `"100%% %v"`, `"%+d"`) +
			", [" + s.pick(s.num(d), s.str(d)) + ", " + s.pick(s.str(0), s.num(0)) + "])"
	case 3:
		return "replace(" + s.str(d) + ", " + s.str(0) + ", " + s.str(0) + ")"
	case 4:
		return "substring(" + s.str(d) + ", " + s.pick("0", "1", "2", "-1") + ", " + s.pick("1", "3", "-1") + ")"
	case 5:
		return s.pick("trim", "trim_left", "trim_right", "trim_prefix", "trim_suffix") + "(" + s.str(d) + ", " + s.str(0) + ")"
	case 6:
		return "format_int(" + s.num(d) + ", " + s.pick("10", "2", "16", "8") + ")"
	case 7:
		return s.pick("crypto.md5", "crypto.sha1", "crypto.sha256") + "(" + s.str(d) + ")"
	case 8:
		return "json.marshal(" + s.pick("input.m", "input.xs", s.num(d), s.str(d), "input.any") + ")"
	case 9:
		return `regex.replace(` + s.str(d) + `, ` + s.pattern() + `, ` + s.pick(`"_"`, `"<$0>"`, `"$1"`) + `)`
	case 10:
		return "split(" + s.str(d) + ", " + s.pick(`":"`, `"/"`, `""`, `"-"`) + ")[" + s.pick("0", "1") + "]"
	case 11:
		if name, ok := s.known(fText); ok {
			return name + "(" + s.str(d) + ")"
		}
		return s.str(d)
	case 12:
		return `$"{` + s.pick("input.s", "input.n", "input.user.name", "input.missing") + `}` + s.pick(" is ", ":", "") + `{` + s.num(0) + `}"`
	case 13:
		return "type_name(" + s.pick("input.any", s.num(d), s.set(d), "input.o") + ")"
	case 14:
		return "strings.replace_n({" + s.text() + ": " + s.text() + ", \"a\": \"b\"}, " + s.str(d) + ")"
	case 15:
		return "time.format(time.parse_rfc3339_ns(" + s.pick("input.when", quoted(s.pick(moment...))) + "))"
	case 16:
		return "time.weekday(time.parse_rfc3339_ns(" + s.pick("input.when", quoted(s.pick(moment...))) + "))"
	default:
		return "concat(\"\", [" + s.str(d) + ", " + s.str(0) + "])"
	}
}

func (s *scope) pattern() string {
	return s.pick("`\\p{L}+`", "`^\\p{Greek}+$`", "`[a-z]+`", "`(?i)ADM(I)N`", "`\\d+`", "`^[^:]+:`", "`\\p{Lu}`", "`(a|b)*c?`",
		"`\\bok\\b`", "`\\s`", "input.s")
}

func (s *scope) nums(depth int) string {
	if name, ok := s.known(list); ok && s.chance(30) {
		return name
	}
	if depth <= 0 {
		return s.pick("input.xs", "[1, 2, 3]", "[0.1, 0.2]", "[]")
	}
	d := depth - 1
	switch s.IntN(7) {
	case 0:
		v := s.variable()
		inner := s.with(v, number)
		return "[" + inner.num(d) + " | some " + v + " in " + s.nums(0) + "; " + inner.condition(d) + "]"
	case 1:
		return "array.concat(" + s.nums(d) + ", " + s.nums(0) + ")"
	case 2:
		return "array.slice(" + s.nums(d) + ", " + s.pick("0", "1", "-1") + ", " + s.pick("1", "2", "10") + ")"
	case 3:
		return "sort(" + s.nums(d) + ")"
	case 4:
		return "numbers.range(" + s.pick("1", "5", "-1", "0") + ", " + s.pick("3", "1", "0") + ")"
	case 5:
		return "[" + s.num(d) + ", " + s.num(d) + "]"
	default:
		return "array.reverse(" + s.nums(d) + ")"
	}
}

func (s *scope) set(depth int) string {
	if name, ok := s.known(group); ok && s.chance(40) {
		return name
	}
	if depth <= 0 {
		return s.pick(`{"a", "b"}`, "{"+s.text()+"}", "set()", `{x | some x in input.ss}`)
	}
	d := depth - 1
	switch s.IntN(5) {
	case 0:
		return "(" + s.set(d) + s.pick(" | ", " & ", " - ") + s.set(d) + ")"
	case 1:
		v := s.variable()
		inner := s.with(v, text)
		return "{" + inner.str(d) + " | some " + v + " in " + s.pick("input.ss", "input.user.tags", s.set(0)) + "}"
	case 2:
		return "object.keys(input.m)"
	case 3:
		return s.pick("union", "intersection") + "({" + s.set(d) + ", " + s.set(0) + "})"
	default:
		return "{" + s.str(d) + ", " + s.str(0) + "}"
	}
}

// condition is one expression that holds or not.
func (s *scope) condition(depth int) string {
	d := depth - 1
	switch s.IntN(18) {
	case 0, 1:
		return s.num(depth) + s.pick(" > ", " < ", " >= ", " <= ", " == ", " != ") + s.num(d)
	case 2:
		return s.str(depth) + s.pick(" == ", " != ", " < ") + s.str(d)
	case 3:
		return s.pick("startswith", "endswith", "contains") + "(" + s.str(depth) + ", " + s.str(0) + ")"
	case 4:
		if depth > 0 {
			return "not " + s.condition(d)
		}
		return "not input.flag"
	case 5:
		return s.str(d) + " in " + s.pick("input.ss", "input.user.tags", s.set(d))
	case 6:
		v := s.variable()
		if depth > 0 {
			inner := s.with(v, number)
			return "every " + v + " in " + s.nums(d) + " { " + inner.condition(d) + " }"
		}
		return "every " + v + " in input.xs { " + v + " > 0 }"
	case 7:
		return "regex.match(" + s.pattern() + ", " + s.str(d) + ")"
	case 8:
		return "glob.match(" + s.pick(`"*"`, `"a:*:c"`, `"**"`, `"[a-c]*"`, `"{a,b}?"`, `"*/b/*"`, "input.t") + ", " +
			s.pick("[]", "null", `[":"]`, `["/"]`, `[".", ":"]`) + ", " + s.str(d) + ")"
	case 9:
		if name, ok := s.known(truth); ok {
			return name
		}
		return "input.flag"
	case 10:
		if name, ok := s.known(truth); ok {
			return name + " with input.n as " + s.num(0) + s.pick("", ` with input.user as {"role": "admin"}`)
		}
		return "input.user.active"
	case 11:
		if name, ok := s.known(fTruth); ok {
			return s.pick("", "not ") + name + "(" + s.num(d) + ", " + s.str(d) + ")"
		}
		return "input.user.role == " + quoted(s.pick(roles...))
	case 12:
		return "net.cidr_contains(" + s.pick(`"10.0.0.0/8"`, `"::ffff:10.0.0.0/104"`, `"0.0.0.0/0"`, `"::/0"`) + ", " +
			s.pick("input.s", `"10.1.2.3"`, `"::ffff:10.1.2.3"`, `"10.0.0.0/16"`, `"fe80::1"`) + ")"
	case 13:
		return s.pick("is_number", "is_string", "is_boolean", "is_array", "is_object", "is_null", "is_set") + "(" +
			s.pick("input.any", "input.n", "input.mixed[_]", s.set(0)) + ")"
	case 14:
		return "count(" + s.pick("input.violations", "input.xs", s.set(d)) + ") " + s.pick("> 0", "== 0", ">= 2")
	case 15:
		return "semver.is_valid(" + s.version() + ")"
	case 16:
		if name, ok := s.known(anyOf); ok {
			return name + s.pick(" == ", " != ", " > ") + s.pick(s.num(0), s.str(0), "input.any")
		}
		return "input.any == input.o"
	default:
		return s.pick("object.subset(input.m, {\"a\": 1})", "input.items[_].qty > 1", "input.user.age > input.n",
			"data.base.grants[input.user.role][_] == \"write\"", "some data.base.grants[input.role]")
	}
}
