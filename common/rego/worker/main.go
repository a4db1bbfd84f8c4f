// Command notp-pdp is OPA's engine in a process of its own: it decides, and judges models, for the
// supervisor that started it. README.md says how they speak.
//
// Usage: notp-pdp [flags], with a connected stream socket as file descriptor 3. `notp-pdp -version`
// prints the protocol's number and OPA's version. Exit status 2: not started by a supervisor; 1: the
// connection failed; 0: the supervisor has gone.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/open-policy-agent/opa/v1/version"
	"golang.org/x/sys/unix"

	_ "notp.core-platform.internal/notp-pdp/internal/builtin" // bounds built-in functions
	"notp.core-platform.internal/notp-pdp/internal/frame"
	"notp.core-platform.internal/notp-pdp/internal/sandbox"
	"notp.core-platform.internal/notp-pdp/internal/serve"
	"notp.core-platform.internal/notp-pdp/internal/snapshot"
)

const connectionDescriptor = 3

// init keeps the main goroutine on the process's first thread, which lives as long as the process: the
// signal at the parent's death belongs to the thread that asks for it.
func init() { runtime.LockOSThread() }

func main() {
	os.Exit(run(os.Args[1:]))
}

type flags struct {
	version     bool
	procs       int
	inFlight    int
	gcPercent   int
	memoryBytes int64
	resultBytes int
	unitBytes   int
	threads     int
	network     bool
}

func parseFlags(arguments []string) (flags, error) {
	var f flags
	set := flag.NewFlagSet("notp-pdp", flag.ContinueOnError)
	set.BoolVar(&f.version, "version", false, "print the protocol's number and OPA's version as JSON")
	set.IntVar(&f.procs, "procs", max(8, 2*runtime.NumCPU()), "threads that run Go code at once")
	set.IntVar(&f.inFlight, "in-flight", 0, "evaluations at once; 0: two fewer than -procs")
	set.IntVar(&f.gcPercent, "gc-percent", 400, "garbage that may gather, in percent of the live heap, while that is small")
	set.Int64Var(&f.memoryBytes, "memory-bytes", 0, "collect garbage harder near this much memory; 0: never")
	set.IntVar(&f.resultBytes, "result-bytes", 64<<20, "the longest JSON of a result")
	set.IntVar(&f.unitBytes, "unit-bytes", 3<<19, "sum of the module texts of units that are kept compiled, each with 1 KiB of its own, beside what the modules of the snapshot are")
	set.IntVar(&f.threads, "threads", 2, "threads that compile")
	set.BoolVar(&f.network, "network", false, "leave the network open, for ledgers that allow http.send")
	err := set.Parse(arguments)
	if err == nil && set.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	f.procs = max(f.procs, 1)
	if f.inFlight <= 0 {
		f.inFlight = max(1, f.procs-2)
	}
	return f, err
}

func run(arguments []string) int {
	parent := os.Getppid()
	f, err := parseFlags(arguments)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		fmt.Fprintf(os.Stderr, "notp-pdp: %v\n", err)
		return 2
	}
	if f.version {
		return printVersion()
	}
	connection, err := connect()
	if err != nil {
		fmt.Fprintf(os.Stderr, "notp-pdp: %v; it is started by notp, notp-client and notp-server, not by hand\n", err)
		return 2
	}
	if err := sandbox.Enter(sandbox.Options{Parent: parent, Network: f.network}); err != nil {
		fmt.Fprintf(os.Stderr, "notp-pdp: cannot give up privileges: %v\n", err)
		return 1
	}
	runtime.GOMAXPROCS(f.procs)
	serve.TuneCollector(f.gcPercent)
	debug.SetMaxStack(256 << 20)
	if f.memoryBytes > 0 {
		debug.SetMemoryLimit(f.memoryBytes)
	}
	worker := serve.New(connection, serve.Options{
		Version:  version.Version,
		InFlight: f.inFlight,
		Snapshot: snapshot.Options{ResultMax: f.resultBytes, UnitBytesMax: f.unitBytes, Threads: max(1, f.threads)},
	})
	if err := worker.Serve(connection); err != nil {
		fmt.Fprintf(os.Stderr, "notp-pdp: reading from the supervisor: %v\n", err)
		return 1
	}
	return 0
}

func printVersion() int {
	text, err := json.Marshal(struct {
		Protocol int    `json:"protocol"`
		OPA      string `json:"opa"`
	}{frame.Protocol, version.Version})
	if err != nil {
		return 1
	}
	fmt.Println(string(text))
	return 0
}

// connect returns the supervisor's connection. It is non-blocking, so that Go waits for it in its
// poller; a blocking read would keep a thread and cost the scheduler's help at every frame.
func connect() (*frame.Socket, error) {
	if kind, err := unix.GetsockoptInt(connectionDescriptor, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_STREAM {
		return nil, fmt.Errorf("file descriptor %d is not a stream socket", connectionDescriptor)
	}
	if err := unix.SetNonblock(connectionDescriptor, true); err != nil {
		return nil, err
	}
	file := os.NewFile(connectionDescriptor, "supervisor")
	defer file.Close()
	connection, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return frame.NewSocket(connection.(syscall.Conn))
}
