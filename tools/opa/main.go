// Command opa is the stock Open Policy Agent, built from the version that go.mod pins.
//
// The tests and benchmarks feed a real OPA and compare against it. Building it through a module of
// our own lets go.sum decide what runs; no binary is downloaded.
package main

import (
	"errors"
	"os"

	"github.com/open-policy-agent/opa/cmd"
)

func main() {
	os.Exit(exitCode(cmd.RootCommand.Execute()))
}

// exitCode keeps OPA's own convention: a command that failed names its code, any other error is 1.
func exitCode(err error) int {
	var failed *cmd.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &failed):
		return failed.Exit
	default:
		return 1
	}
}
