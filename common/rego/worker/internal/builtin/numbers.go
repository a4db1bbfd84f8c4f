package builtin

import (
	"math/big"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

func init() {
	guard(largestNumber, ast.Abs, ast.Round, ast.Ceil, ast.Floor, ast.Plus, ast.Minus, ast.Divide, ast.Rem, ast.BitsOr,
		ast.BitsAnd, ast.BitsNegate, ast.BitsXOr, ast.BitsShiftRight, ast.FormatInt, ast.Sum, ast.Format, ast.Date,
		ast.Clock, ast.Weekday, ast.AddDate, ast.Diff, ast.RandIntn, ast.Sprintf)
	guard(addedNumbers, ast.Multiply, ast.Product)
	guard(shift, ast.BitsShiftLeft)
	guard(numberRange, ast.NumbersRange, ast.NumbersRangeStep)
	guard(unitText, ast.UnitsParse, ast.UnitsParseBytes)
}

// digits returns how many decimal digits a number has when it is written without an exponent.
func digits(number string) int64 {
	count := int64(len(number))
	at := strings.IndexAny(number, "eE")
	if at < 0 {
		return count
	}
	exponent, err := strconv.ParseInt(number[at+1:], 10, 32)
	if err != nil {
		return digitsMax + 1
	}
	return count + max(exponent, -exponent)
}

// numberDigits visits the numbers of an operand and, one level down, of an array or a set.
func numberDigits(operand *ast.Term, visit func(int64)) {
	each := func(term *ast.Term) {
		if number, ok := term.Value.(ast.Number); ok {
			visit(digits(string(number)))
		}
	}
	switch value := operand.Value.(type) {
	case ast.Number:
		each(operand)
	case *ast.Array:
		value.Foreach(each)
	case ast.Set:
		value.Foreach(each)
	}
}

func tooManyDigits(bctx topdown.BuiltinContext, name string) error {
	return beyond(bctx, name, "a number of more than %d digits", digitsMax)
}

func largestNumber(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	var largest int64
	for _, operand := range operands {
		numberDigits(operand, func(n int64) { largest = max(largest, n) })
	}
	if largest > digitsMax {
		return tooManyDigits(bctx, name)
	}
	return nil
}

func addedNumbers(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	var sum, count int64
	for _, operand := range operands {
		numberDigits(operand, func(n int64) { sum, count = sum+n, count+1 })
	}
	// The product of n numbers grows step by step, and so does the cost of the next step.
	if sum > digitsMax*2 || sum > digitsMax && count == 2 {
		return tooManyDigits(bctx, name)
	}
	return nil
}

func shift(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	if err := largestNumber(bctx, name, operands); err != nil {
		return err
	}
	value, ok1 := operands[0].Value.(ast.Number)
	by, ok2 := operands[1].Value.(ast.Number)
	if !ok1 || !ok2 || value == "0" {
		return nil
	}
	bits, ok := new(big.Float).SetString(string(by))
	if !ok {
		return nil
	}
	const bitsMax = digitsMax * 3
	if bits.Cmp(big.NewFloat(bitsMax)) > 0 {
		return beyond(bctx, name, "a shift of more than %d bits", bitsMax)
	}
	return nil
}

func numberRange(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	if err := largestNumber(bctx, name, operands); err != nil {
		return err
	}
	var values []*big.Float
	for _, operand := range operands[:min(3, len(operands))] {
		number, ok := operand.Value.(ast.Number)
		if !ok {
			return nil
		}
		value, ok := new(big.Float).SetString(string(number))
		if !ok {
			return nil
		}
		values = append(values, value)
	}
	items := new(big.Float).Sub(values[1], values[0])
	items.Abs(items)
	if name == ast.NumbersRangeStep.Name && len(values) == 3 && values[2].Sign() > 0 {
		items.Quo(items, values[2])
	}
	if items.Cmp(big.NewFloat(itemsMax)) > 0 {
		return chargeItems(bctx, name, itemsMax+1)
	}
	count, _ := items.Int64()
	return chargeItems(bctx, name, count*4)
}

// unitText looks at the digits of units.parse; OPA itself bounds the exponent.
func unitText(bctx topdown.BuiltinContext, name string, operands []*ast.Term) error {
	text, ok := operands[0].Value.(ast.String)
	if !ok {
		return nil
	}
	number := strings.TrimLeft(string(text), "\" ")
	if len(number)-len(strings.TrimLeft(number, "0123456789.+-_")) > digitsMax {
		return tooManyDigits(bctx, name)
	}
	return nil
}
