package builtin

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

func init() {
	guard(concat, ast.Concat)
	guard(arrayConcat, ast.ArrayConcat)
	guard(flattened, ast.ArrayFlatten)
	guard(replace, ast.Replace)
	guard(replaceN, ast.ReplaceN)
	guard(regexReplace, ast.RegexReplace)
	guard(split, ast.Split, ast.SplitN)
	guard(pieces, ast.RegexSplit, ast.RegexFind, ast.RegexFindAllStringSubmatch)
	guard(format, ast.Sprintf)
	guard(expanded, ast.JSONMarshal, ast.URLQueryEncodeObject, ast.JWTEncodeSign, ast.InternalTemplateString,
		ast.InternalPrint, ast.JSONSchemaVerify, ast.JSONMatchSchema)
	guard(indented, ast.JSONMarshalWithOptions, ast.YAMLMarshal)
	guard(copied, ast.Upper, ast.Lower, ast.StringReverse, ast.HexEncode, ast.Base64Encode, ast.Base64UrlEncode,
		ast.Base64UrlEncodeNoPad, ast.URLQueryEncode)
	guard(addresses, ast.NetCIDRExpand)
	guard(quadratic, ast.Trim, ast.TrimLeft, ast.TrimRight, ast.IndexOf, ast.NetCIDRContainsMatches)
}

// text returns the operand's text; empty if it has none, which OPA's function reports.
func text(operand *ast.Term) string {
	value, _ := operand.Value.(ast.String)
	return string(value)
}

func members(operand *ast.Term, visit func(*ast.Term)) int64 {
	switch value := operand.Value.(type) {
	case *ast.Array:
		value.Foreach(visit)
		return int64(value.Len())
	case ast.Set:
		value.Foreach(visit)
		return int64(value.Len())
	}
	return 0
}

func concat(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	var bytes int64
	count := members(operands[1], func(term *ast.Term) { bytes += int64(len(text(term))) })
	return charge(bctx, name, bytes+count*int64(len(text(operands[0]))))
}

func arrayConcat(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	none := func(*ast.Term) {}
	return chargeItems(bctx, name, members(operands[0], none)+members(operands[1], none))
}

func flattened(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	var items int64
	members(operands[0], func(term *ast.Term) {
		items++
		if nested, ok := term.Value.(*ast.Array); ok {
			items += int64(nested.Len())
		}
	})
	return chargeItems(bctx, name, items)
}

func copied(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	return charge(bctx, name, int64(len(text(operands[0])))*2)
}

func replace(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	base, old, new := text(operands[0]), text(operands[1]), text(operands[2])
	bytes := int64(len(base))
	if grow := int64(len(new) - len(old)); grow > 0 {
		if bytes += int64(len(base)+1) * grow; bytes > largeResult {
			bytes = int64(len(base)) + int64(strings.Count(base, old))*grow
		}
	}
	return charge(bctx, name, bytes)
}

func replaceN(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	patterns, ok := operands[0].Value.(ast.Object)
	if !ok {
		return nil
	}
	base, longest := text(operands[1]), 0
	patterns.Foreach(func(_, value *ast.Term) { longest = max(longest, len(text(value))) })
	if bound := int64(len(base)+1) * int64(longest+1); bound <= largeResult {
		return nil
	}
	// The exact length: the same replacements into a writer that counts.
	keys := patterns.Keys()
	slices.SortFunc(keys, ast.TermValueCompare)
	var pairs []string
	for _, key := range keys {
		pairs = append(pairs, text(key), text(patterns.Get(key)))
	}
	counter := &counter{bctx: bctx, name: name}
	if _, err := strings.NewReplacer(pairs...).WriteString(counter, base); err != nil {
		return err
	}
	return charge(bctx, name, counter.bytes)
}

// counter counts what is written and fails beyond the bound or after a cancel.
type counter struct {
	bctx  topdown.BuiltinContext
	name  string
	bytes int64
}

func (c *counter) Write(bytes []byte) (int, error) { return len(bytes), c.add(len(bytes)) }

func (c *counter) WriteString(text string) (int, error) { return len(text), c.add(len(text)) }

func (c *counter) add(n int) error {
	if cancelled(c.bctx) {
		return cancelError(c.bctx, c.name)
	}
	if c.bytes += int64(n); c.bytes > textMax {
		return charge(c.bctx, c.name, c.bytes)
	}
	return nil
}

func regexReplace(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	base, with := text(operands[0]), text(operands[2])
	// Each match is replaced by the template, with a part of the text for each reference in it.
	references := int64(strings.Count(with, "$"))
	bound := int64(len(base)+1)*int64(len(with)+1) + references*int64(len(base)) + int64(len(base))
	if bound <= largeResult {
		return nil
	}
	pattern, err := regexp.Compile(text(operands[1]))
	if err != nil {
		return nil
	}
	count := &counter{bctx: bctx, name: name, bytes: int64(len(base))}
	source, template := []byte(base), []byte(with)
	var matches, scratch = pattern.FindAllSubmatchIndex(source, itemsMax+1), []byte(nil)
	if len(matches) > itemsMax {
		return chargeItems(bctx, name, itemsMax+1)
	}
	for _, match := range matches {
		if references*int64(len(base)) > textMax && references*int64(match[1]-match[0]) > textMax {
			return charge(bctx, name, textMax+1)
		}
		scratch = pattern.Expand(scratch[:0], template, source, match)
		if err := count.add(len(scratch)); err != nil {
			return err
		}
	}
	return charge(bctx, name, count.bytes)
}

func split(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	base := text(operands[0])
	if len(base) < largeResult/16 {
		return nil
	}
	// An empty delimiter counts one more than it splits into.
	return chargeItems(bctx, name, int64(strings.Count(base, text(operands[1])))*4)
}

// pieces bounds functions that make at most one item of each byte of a text.
func pieces(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	var longest int64
	for _, operand := range operands {
		longest = max(longest, int64(len(text(operand))))
	}
	return chargeItems(bctx, name, longest)
}

func format(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	layout := text(operands[0])
	bytes := int64(len(layout))
	var largest, all int64
	members(operands[1], func(term *ast.Term) {
		size := textSize(bctx, term, textMax) + 2
		largest, all = max(largest, size), all+size
	})
	if largest > textMax {
		return charge(bctx, name, largest)
	}
	verbs := int64(strings.Count(layout, "%"))
	if verbs == 0 && all < largeResult {
		return nil
	}
	// Without explicit indexes an argument is used once; %q, %x and the like make it four times longer.
	if strings.Contains(layout, "[") {
		bytes += verbs * largest * 4
	} else {
		bytes += all * 4
	}
	return charge(bctx, name, bytes+widths(layout, operands[1]))
}

// widths adds up what widths and precisions can add to a formatted text. A "*" takes its width from an
// argument; fmt allows a million.
func widths(layout string, arguments *ast.Term) int64 {
	var sum, number int64
	inVerb := false
	for i := range len(layout) {
		c := layout[i]
		switch {
		case !inVerb:
			inVerb = c == '%'
		case c >= '0' && c <= '9':
			number = min(number*10+int64(c-'0'), 1_000_000)
		case c == '*':
			sum += largestArgument(arguments)
		case c == '.' || c == '[' || c == ']' || c == '+' || c == '-' || c == '#' || c == ' ':
			sum, number = sum+number, 0
		default:
			sum, number, inVerb = sum+number, 0, false
		}
	}
	return sum + number
}

func largestArgument(arguments *ast.Term) int64 {
	var largest int64
	members(arguments, func(term *ast.Term) {
		if number, ok := term.Value.(ast.Number); ok {
			if n, ok := number.Int64(); ok {
				largest = max(largest, n, -n)
			}
		}
	})
	return min(largest, 1_000_000)
}

// textSize is about the length of a value's text, up to a limit. A value that shares parts with itself
// can have a text that is exponentially longer than its memory.
func textSize(bctx topdown.BuiltinContext, term *ast.Term, limit int64) int64 {
	var bytes int64
	walk(term, 0, func(term *ast.Term, _ int) bool {
		bytes += scalarSize(term)
		return bytes <= limit && (bytes&0xfff != 0 || !cancelled(bctx))
	})
	return bytes
}

func scalarSize(term *ast.Term) int64 {
	switch value := term.Value.(type) {
	case ast.String:
		return int64(len(value)) + 3
	case ast.Number:
		return int64(len(value)) + 1
	}
	return 6
}

func expanded(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	for _, operand := range operands {
		if size := textSize(bctx, operand, textMax); size >= largeResult {
			if err := charge(bctx, name, size); err != nil {
				return err
			}
		}
	}
	return nil
}

// indented bounds texts that begin each line with an indent for each level.
func indented(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	prefix, indent := int64(0), int64(4)
	if name == ast.JSONMarshalWithOptions.Name {
		if options, ok := operands[1].Value.(ast.Object); ok {
			options.Foreach(func(key, value *ast.Term) {
				switch text(key) {
				case "prefix":
					prefix = int64(len(text(value)))
				case "indent":
					indent = max(indent, int64(len(text(value))))
				}
			})
		}
	}
	var bytes int64
	walk(operands[0], 0, func(term *ast.Term, depth int) bool {
		bytes += scalarSize(term) + 2*(prefix+indent*int64(depth))
		return bytes <= textMax
	})
	return charge(bctx, name, bytes)
}

func addresses(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	network, err := netip.ParsePrefix(text(operands[0]))
	if err != nil {
		return nil
	}
	bits := network.Addr().BitLen() - network.Bits()
	if bits > 20 {
		return chargeItems(bctx, name, itemsMax+1)
	}
	return chargeItems(bctx, name, 1<<bits)
}

// quadratic bounds functions whose work grows with the product of their operands' sizes.
func quadratic(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	const workMax = 1 << 31
	work := int64(1)
	for _, operand := range operands[:2] {
		size := int64(len(text(operand)))
		if size == 0 {
			size = max(1, members(operand, func(*ast.Term) {})*256)
		}
		work *= size
	}
	if work > workMax && !(name == ast.IndexOf.Name && ascii(text(operands[0])) && ascii(text(operands[1]))) {
		return beyond(bctx, name, "operands of %d bytes and %d bytes", len(text(operands[0])), len(text(operands[1])))
	}
	return nil
}

func ascii(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > 127 })
}
