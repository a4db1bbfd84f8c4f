// Command cases prints OPA's own conformance suite, of the version that go.mod pins, as JSON lines.
//
// An engine that decides by path cannot be asked a query. A query that is the value of one path
// becomes that path; any other query becomes a rule of one more module, so that no case is left out
// for its form.
//
// Usage: go run ./cases [-suite FOLDER]
// FOLDER holds v0 and v1; by default it is the suite in the module of OPA that go.mod pins.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	folder := flag.String("suite", "", "folder with v0 and v1; empty: of the pinned OPA")
	flag.Parse()
	if err := run(*folder); err != nil {
		fmt.Fprintln(os.Stderr, "cases:", err)
		os.Exit(1)
	}
}

func run(folder string) error {
	if folder == "" {
		var err error
		if folder, err = pinnedSuite(); err != nil {
			return err
		}
	}
	all, err := load(folder)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	inapplicable := map[string]int{}
	for i := range all {
		if err := encoder.Encode(&all[i]); err != nil {
			return err
		}
		if all[i].Inapplicable != "" {
			inapplicable[all[i].Inapplicable]++
		}
	}
	for reason, count := range inapplicable {
		fmt.Fprintf(os.Stderr, "cases: %d inapplicable: %s\n", count, reason)
	}
	return out.Flush()
}

// pinnedSuite asks the go command, because the suite's files are not all embedded in OPA's packages.
func pinnedSuite() (string, error) {
	command := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/open-policy-agent/opa")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("go list: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return filepath.Join(strings.TrimSpace(stdout.String()), "v1/test/cases/testdata"), nil
}
