package check

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// askWithTests marks test code as the supervisor does.
func askWithTests(t *testing.T, files map[string]string, good []string) *Report {
	t.Helper()
	isTest := func(path string) bool {
		return strings.HasSuffix(path, "_test.rego") || strings.HasPrefix(path, "tests/")
	}
	type each map[string]any
	modules, documents, content := []each{}, []each{}, staged{}
	for path, text := range files {
		hash := sha256.Sum256([]byte(text))
		content[hash] = text
		one := each{"path": path, "hash": hex.EncodeToString(hash[:]), "is_test": isTest(path), "rego_version": 1}
		if strings.HasSuffix(path, ".json") {
			mount := strings.Split(path, "/")
			one["mount"] = mount[:len(mount)-1]
			documents = append(documents, one)
		} else {
			modules = append(modules, one)
		}
	}
	raw, _ := json.Marshal(each{"modules": modules, "documents": documents, "good": good,
		"tests": each{"run": true}})
	answer, err := Check(context.Background(), content, raw, func(Step) {})
	if err != nil {
		t.Fatal(err)
	}
	report := &Report{}
	if err := json.Unmarshal(answer, report); err != nil {
		t.Fatal(err)
	}
	return report
}

func TestPoliciesThatNeedTestCode(t *testing.T) {
	policy := func(body string) string { return "package shop\n\n" + body }
	helper := "package shop_test\n\nroles := [\"a\"]\n\nsmall(x) if x < 3\n\ntest_it if data.shop.allow\n"
	for name, each := range map[string]struct {
		files map[string]string
		want  []string // parts of the messages
	}{
		"a rule of a test's package": {map[string]string{
			"p.rego": policy("allow if \"a\" in data.shop_test.roles\n"), "p_test.rego": helper,
		}, []string{"data.shop_test.roles"}},
		"a function, imported": {map[string]string{
			"p.rego": "package shop\n\nimport data.shop_test\n\nallow if shop_test.small(1)\n", "p_test.rego": helper,
		}, []string{"data.shop_test.small"}},
		"the whole package": {map[string]string{
			"p.rego":      policy("allow if count(data.shop_test) > 0\n"),
			"p_test.rego": "package shop_test\n\nroles := 1\n",
		}, []string{"data.shop_test"}},
		"a rule of its own package by its name": {map[string]string{
			"p.rego": policy("allow if known\n"), "tests/more.rego": policy("known := true\n"),
		}, []string{"var known is unsafe"}},
		"a rule of its own package by its path": {map[string]string{
			"p.rego": policy("allow if data.shop.known\n"), "tests/more.rego": policy("known := true\n"),
		}, []string{"data.shop.known"}},
		"a function of another policy's package": {map[string]string{
			"p.rego": policy("allow if data.lib.small(1)\n"), "lib.rego": "package lib\n\nbig := 1\n",
			"lib_test.rego": "package lib\n\nsmall(x) if x < 3\n",
		}, []string{"data.lib.small"}},
		"data of tests": {map[string]string{
			"p.rego": policy("allow if data.tests.on\n"), "tests/data.json": `{"on": true}`,
		}, []string{"data.tests.on"}},
		"what data above has, too": {map[string]string{
			"p.rego": policy("allow if data.tests.on\n"), "tests/data.json": `{"off": true}`,
			"data.json": `{"tests": {"on": true}}`,
		}, nil},
		"a stand-in for another ledger": {map[string]string{
			"p.rego": policy("allow if data.people.known\n"), "p_test.rego": "package people\n\nknown := true\n",
		}, []string{"data.people.known"}},
		"a local variable with the name of a test's rule": {map[string]string{
			"p.rego": policy("allow if { known := input.x; known > 1 }\n"), "p_test.rego": policy("known := true\n"),
		}, nil},
		"a stand-in for what nodes have": {map[string]string{
			"p.rego":      policy("allow if data.system.notp.state == \"fresh\"\n"),
			"p_test.rego": "package system.notp\n\nstate := \"fresh\"\n",
		}, nil},
		"what policies define, too": {map[string]string{
			"p.rego":      policy("allow if \"a\" in roles\n\nroles contains \"b\"\n"),
			"p_test.rego": policy("roles contains \"a\"\n\ntest_it if allow\n"),
		}, nil},
	} {
		report := askWithTests(t, each.files, nil)
		var got []string
		for _, finding := range report.Findings {
			if finding.Code != testOnly && finding.Code != dataError {
				continue
			}
			if finding.Warning {
				t.Errorf("%s: a warning: %s", name, finding.Message)
			}
			got = append(got, finding.Path+" "+finding.Message)
		}
		if len(got) != len(each.want) {
			t.Errorf("%s: %q", name, got)
			continue
		}
		for i, want := range each.want {
			if !strings.HasPrefix(got[i], "p.rego ") || !strings.Contains(got[i], want) {
				t.Errorf("%s: %q", name, got[i])
			}
		}
	}
}

func TestWhatCompilesWithoutTestCodeIsRemembered(t *testing.T) {
	files := map[string]string{"p.rego": "package shop\n\nallow if input.x\n",
		"p_test.rego": "package shop\n\nsample := {\"x\": true}\n\ntest_it if allow with input as sample\n"}
	first := askWithTests(t, files, nil)
	isNode := func(fingerprint string) bool { return strings.HasPrefix(fingerprint, goodNode) }
	if !slices.ContainsFunc(first.Good, isNode) {
		t.Fatalf("%q", first.Good)
	}
	second := askWithTests(t, files, first.Good)
	if !slices.ContainsFunc(second.Good, isNode) {
		t.Fatalf("%q", second.Good)
	}
}
