// Command probe enters the sandbox and says what it still can do.
package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"notp.core-platform.internal/notp-pdp/internal/sandbox"
)

func init() { runtime.LockOSThread() }

func main() {
	parent := os.Getppid()
	if len(os.Args) > 1 && os.Args[1] == "orphan" {
		parent++
	}
	if err := sandbox.Enter(sandbox.Options{Parent: parent}); err != nil {
		fmt.Println("enter:", err)
		return
	}
	// On many threads: each of them must be inside.
	var group sync.WaitGroup
	var mutex sync.Mutex
	can := map[string]bool{}
	for range 16 {
		group.Go(func() {
			runtime.LockOSThread()
			file, err := os.Open("/proc/self/status")
			if err == nil {
				file.Close()
			}
			_, writing := os.Create(filepath.Join(os.TempDir(), "notp-pdp-probe"))
			listener, listening := net.Listen("tcp", "127.0.0.1:0")
			if listening == nil {
				listener.Close()
			}
			mutex.Lock()
			defer mutex.Unlock()
			can["read"] = can["read"] || err == nil
			can["write"] = can["write"] || writing == nil
			can["listen"] = can["listen"] || listening == nil
		})
	}
	group.Wait()
	var core unix.Rlimit
	dumpable, getErr := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil || getErr != nil {
		fmt.Println("limits:", err, getErr)
	}
	fmt.Println("core:", max(core.Cur, core.Max), "dumpable:", dumpable, "read:", can["read"], "write:", can["write"], "listen:", can["listen"])
}
