// Command drive asks a worker (notp-pdp) what the commands cases and programs print, and compares its
// answers with OPA's.
//
// Usage: (go run ./cases; go run ./programs -count 100) | go run ./drive -worker PATH [-v]
// It prints what differs and counts; exit status 1 if anything does.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
)

func main() {
	path := flag.String("worker", "", "the worker's binary")
	verbose := flag.Bool("v", false, "print all that differs, not the first few of a kind")
	flag.Parse()
	failed, err := run(*path, *verbose)
	if err != nil {
		fmt.Fprintln(os.Stderr, "drive:", err)
	}
	if err != nil || failed {
		os.Exit(1)
	}
}

// report counts by kind and prints the first few that differ.
type report struct {
	verbose bool
	counts  map[string]int
	printed map[string]int
}

func (r *report) count(kind string) { r.counts[kind]++ }

const printedMax = 10

func (r *report) differs(kind, format string, args ...any) {
	r.counts["DIFFERS "+kind]++
	if r.printed[kind]++; r.verbose || r.printed[kind] <= printedMax {
		fmt.Printf("%s: %s\n", kind, fmt.Sprintf(format, args...))
	}
}

func run(path string, verbose bool) (failed bool, err error) {
	w, err := start(path, "-network")
	if err != nil {
		return false, err
	}
	defer func() { w.stop() }()
	r := &report{verbose: verbose, counts: map[string]int{}, printed: map[string]int{}}
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	decoder := json.NewDecoder(lines)
	decoder.UseNumber()
	for decoder.More() {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return false, err
		}
		var kind struct {
			Note   string
			Stages []json.RawMessage
		}
		if err := json.Unmarshal(raw, &kind); err != nil {
			return false, err
		}
		if kind.Note != "" {
			err = driveCase(w, r, raw)
		} else {
			err = driveProgram(w, r, raw)
		}
		if err != nil { // the worker has gone
			r.differs("worker", "%v", err)
			w.stop()
			if w, err = start(path, "-network"); err != nil {
				return true, err
			}
		}
	}
	var kinds []string
	for kind := range r.counts {
		kinds = append(kinds, kind)
	}
	sort.Strings(kinds)
	for _, kind := range kinds {
		fmt.Printf("%8d %s\n", r.counts[kind], kind)
	}
	return len(r.printed) > 0, nil
}
