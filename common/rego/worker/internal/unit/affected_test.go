package unit

import "testing"

func TestWhatHasGoneIsAffected(t *testing.T) {
	of := func(text string) *Facts {
		module, err := Parse("a.rego", text, 1)
		if err != nil {
			t.Fatal(err)
		}
		return FactsOf(module)
	}
	before := NewIndex(map[string]*Facts{
		"a": of("package org.a\n\nx := 1\n\ny := 2\n"), "b": of("package org.b\n\nx := data.org.a.y\n"),
		"c": of("package org.c\n\nx := 1\n")})
	for name, after := range map[string]*Index{
		"a rule":      before.With(map[string]*Facts{"a": of("package org.a\n\nx := 1\n")}),
		"a package":   before.With(map[string]*Facts{"a": nil}),
		"the package": before.With(map[string]*Facts{"a": of("package elsewhere\n\nx := 1\n")}),
	} {
		affected := after.Affected(before, []string{"a"})
		for _, path := range [][]string{{"org", "a", "y"}, {"org", "a"}, {"org", "b", "x"}, {"org"}, {}} {
			if !affected.Touches(path) {
				t.Errorf("%s has gone, and data.%v is as it was", name, path)
			}
		}
		if affected.Touches([]string{"org", "c", "x"}) {
			t.Errorf("%s has gone, and data.org.c.x may be another", name)
		}
	}
}
