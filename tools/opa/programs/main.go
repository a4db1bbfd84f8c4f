// Command programs prints random Rego programs with the answers of the pinned OPA, as JSON lines.
//
// The oracle is one full compile of all modules, OPA's own store and OPA's own evaluation in this
// process: nothing of ours takes part in it. The same seed gives the same programs.
//
// Usage: go run ./programs [-seed N] [-count N] [-damaged N] [-clock=false]
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
)

func main() {
	seed := flag.Int64("seed", 1, "of the first program; each further one has the next seed")
	count := flag.Int("count", 10, "programs")
	damaged := flag.Int("damaged", 6, "broken texts of modules in each program")
	clock := flag.Bool("clock", true, "programs may read the clock; for who cannot set it: false")
	flag.Parse()
	debug.SetGCPercent(800) // short-lived garbage of many small compiles
	if err := run(*seed, *count, Options{Damaged: *damaged, Clock: *clock}); err != nil {
		fmt.Fprintln(os.Stderr, "programs:", err)
		os.Exit(1)
	}
}

type generated struct {
	program *Program
	err     error
}

// run makes some programs at once and prints them in their order, each as soon as it is its turn.
func run(seed int64, count int, options Options) error {
	turns := make(chan chan generated, runtime.GOMAXPROCS(0))
	go func() {
		defer close(turns)
		for i := range count {
			turn := make(chan generated, 1)
			turns <- turn
			go func() {
				program, err := Generate(seed+int64(i), options)
				turn <- generated{program, err}
			}()
		}
	}()
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	next := seed
	for turn := range turns {
		made := <-turn
		if made.err != nil {
			return fmt.Errorf("seed %d: %w", next, made.err)
		}
		if err := encoder.Encode(made.program); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
		next++
	}
	return nil
}
