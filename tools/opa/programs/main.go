// Command programs prints random Rego programs with the answers of the pinned OPA, as JSON lines.
//
// The oracle is one full compile of all modules, OPA's own store and OPA's own evaluation in this
// process: nothing of ours takes part in it. The same seed gives the same programs.
//
// Usage: go run ./programs [-seed N] [-count N]
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
)

func main() {
	seed := flag.Int64("seed", 1, "of the first program; each further one has the next seed")
	count := flag.Int("count", 10, "programs")
	flag.Parse()
	if err := run(*seed, *count); err != nil {
		fmt.Fprintln(os.Stderr, "programs:", err)
		os.Exit(1)
	}
}

func run(seed int64, count int) error {
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for i := range count {
		program, err := Generate(seed + int64(i))
		if err != nil {
			return fmt.Errorf("seed %d: %w", seed+int64(i), err)
		}
		if err := encoder.Encode(program); err != nil {
			return err
		}
	}
	return out.Flush()
}
