package snapshot

import "testing"

func TestOnlyJSONsNumbersAreWritten(t *testing.T) {
	for text, want := range map[string]bool{"0": true, "-0": true, "10": true, "-1.50": true, "1e9": true, "0E-7": true,
		"1.0e+21": true, "12345678901234567890123": true, "-": false, "": false, "07": false, "-07": false, "1.": false,
		".5": false, "1e": false, "1e+": false, "0x10": false, "Infinity": false, "1 ": false, "+1": false} {
		if got := isNumber(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
