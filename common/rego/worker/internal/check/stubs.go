package check

import (
	"encoding/json"
	"slices"

	"notp.core-platform.internal/notp-pdp/internal/unit"
)

type stubsRequest struct {
	Callers []moduleFile `json:"callers"`
	Missing []moduleFile `json:"missing"`
}

// Stubs answers a request for modules that stand in for the functions of `missing` which `callers`
// call, each undefined for every argument: a call of a function that is not there keeps its caller from
// compiling, while a reference to a rule that is not there is undefined. What cannot be parsed is passed
// over: it has its own finding where it is compiled. Errors are *Failed: "request", "missing" with a JSON
// array of hashes. Safe for concurrent use.
func Stubs(content Content, raw []byte) ([]byte, error) {
	q := &stubsRequest{}
	if err := decode(raw, q); err != nil {
		return nil, err
	}
	var absent []string
	missing, err := factsFor(content, q.Missing, &absent)
	if err != nil {
		return nil, err
	}
	callers, err := factsFor(content, q.Callers, &absent)
	if err != nil {
		return nil, err
	}
	if len(absent) > 0 {
		slices.Sort(absent)
		text, _ := json.Marshal(slices.Compact(absent))
		return nil, failed("missing", "%s", text)
	}
	texts := unit.Stubs(callers, missing)
	if texts == nil {
		texts = []string{}
	}
	return json.Marshal(texts)
}

func factsFor(content Content, files []moduleFile, absent *[]string) ([]*unit.Facts, error) {
	if err := decodeModules(files); err != nil {
		return nil, err
	}
	all := make([]*unit.Facts, len(files))
	texts := make([]string, len(files))
	for i := range files {
		text, ok := content.Text(files[i].hash)
		if !ok {
			*absent = append(*absent, files[i].Hash)
		}
		texts[i] = text
	}
	parallel(len(files), func(i int) {
		if module, err := unit.Parse(files[i].Path, texts[i], files[i].RegoVersion); err == nil && module != nil {
			all[i] = unit.FactsOf(module)
		}
	})
	return slices.DeleteFunc(all, func(facts *unit.Facts) bool { return facts == nil }), nil
}
