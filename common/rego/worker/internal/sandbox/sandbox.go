// Package sandbox gives up what the worker does not need: privileges, files, the network.
package sandbox

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Options of the sandbox.
type Options struct {
	Parent  int  // the supervisor's process id when this process began
	Network bool // TCP stays open, and files can be read (name resolution and certificates need that)
}

const descriptorsMax = 64

// Enter must be called on the process's first thread. Where the kernel has neither Landlock nor seccomp,
// files and the network stay as the user's rights have them; everything else is an error.
func Enter(options Options) error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_PDEATHSIG: %w", err)
	}
	if os.Getppid() != options.Parent {
		return fmt.Errorf("the supervisor has gone")
	}
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("PR_SET_NO_NEW_PRIVS: %w", errno)
	}
	standAside()
	// No image of the memory, which has inputs and keys in it: neither a file, nor for a handler of
	// core dumps, which RLIMIT_CORE does not keep from getting one.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_DUMPABLE: %w", err)
	}
	if err := limit(unix.RLIMIT_CORE, 0); err != nil {
		return fmt.Errorf("RLIMIT_CORE: %w", err)
	}
	descriptors := uint64(descriptorsMax)
	if options.Network {
		descriptors *= 8
	}
	if err := limit(unix.RLIMIT_NOFILE, descriptors); err != nil {
		return fmt.Errorf("RLIMIT_NOFILE: %w", err)
	}
	if err := landlock(options.Network); err != nil || options.Network {
		return err
	}
	return seccomp()
}

// standAside lets the kernel kill the worker before its supervisor, which starts another, when memory is
// short. Only the process itself may do it without privileges once it cannot be dumped.
func standAside() { _ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0) }

func limit(resource int, value uint64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil {
		return err
	}
	value = min(value, now.Max)
	return unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value})
}

// Rights of Landlock that need a newer kernel than the first with Landlock, by its ABI.
var laterRights = []struct{ abi, rights uint64 }{
	{2, unix.LANDLOCK_ACCESS_FS_REFER},
	{3, unix.LANDLOCK_ACCESS_FS_TRUNCATE},
	{5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV},
}

const (
	firstRights = 1<<13 - 1 // all of ABI 1
	readRights  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
)

// landlock forbids all of the file system and TCP: its rule set has rights to handle and no rule that
// allows any.
func landlock(network bool) error {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return nil // no Landlock here
	}
	attributes := unix.LandlockRulesetAttr{Access_fs: firstRights}
	for _, later := range laterRights {
		if uint64(abi) >= later.abi {
			attributes.Access_fs |= later.rights
		}
	}
	size := unsafe.Sizeof(attributes.Access_fs)
	if abi >= 4 {
		size += unsafe.Sizeof(attributes.Access_net)
		attributes.Access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if network {
		attributes.Access_fs &^= readRights
		attributes.Access_net &^= unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 6 {
		size += unsafe.Sizeof(attributes.Scoped)
		// Not signals: each thread gets a domain of its own, and Go's threads signal each other.
		attributes.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
	}
	rules, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attributes)), size, 0)
	if errno != 0 {
		return fmt.Errorf("a Landlock rule set: %w", errno)
	}
	defer unix.Close(int(rules))
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, rules, 0, 0); errno != 0 {
		return fmt.Errorf("Landlock: %w", errno)
	}
	return nil
}
