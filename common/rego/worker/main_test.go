package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"notp.core-platform.internal/notp-pdp/internal/frame"
)

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "notp-pdp")
	command := exec.Command("go", "build", "-mod=readonly", "-o", binary, ".")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func TestTheProgram(t *testing.T) {
	binary := build(t)
	t.Run("version", func(t *testing.T) {
		out, err := exec.Command(binary, "-version").Output()
		if err != nil || !strings.HasPrefix(string(out), fmt.Sprintf(`{"protocol":%d,"opa":"1.`, frame.Protocol)) || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%q, %v", out, err)
		}
	})
	t.Run("by hand", func(t *testing.T) {
		for _, arguments := range [][]string{{}, {"-nope"}, {"serve"}} {
			var failed *exec.ExitError
			command := exec.Command(binary, arguments...)
			var text bytes.Buffer
			command.Stderr = &text
			if err := command.Run(); !errors.As(err, &failed) || failed.ExitCode() != 2 || !strings.HasPrefix(text.String(), "notp-pdp: ") && len(arguments) == 0 {
				t.Errorf("%v: %v, %s", arguments, err, &text)
			}
		}
	})
	t.Run("supervised", func(t *testing.T) { supervise(t, binary) })
}

func supervise(t *testing.T, binary string) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "worker")
	ours := os.NewFile(uintptr(pair[0]), "supervisor")
	connection, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	ours.Close()
	command := exec.Command(binary, "-procs", "4")
	command.ExtraFiles = []*os.File{theirs}
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	reader, writer := frame.NewReader(connection), frame.NewWriter(connection)
	read := func() (frame.Frame, *frame.Decoder) {
		t.Helper()
		f, err := reader.Read()
		if err != nil {
			t.Fatal(err)
		}
		return f, frame.NewDecoder(f.Payload)
	}
	hello, payload := read()
	if protocol, version := payload.U32(), payload.Str(); hello.ID != 0 || hello.Operation != frame.OpHello || protocol != frame.Protocol || !strings.HasPrefix(version, "1.") {
		t.Fatalf("hello %+v: protocol %d, OPA %s", hello, protocol, version)
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(command.Process.Pid) + "/status")
	if err != nil || !strings.Contains(string(status), "NoNewPrivs:\t1") {
		t.Errorf("NoNewPrivs is not set (%v)", err)
	}
	limits, err := os.ReadFile("/proc/" + strconv.Itoa(command.Process.Pid) + "/limits")
	if err != nil || !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), "Max open files 64 64") {
		t.Errorf("the limit of descriptors is not set (%v)", err)
	}
	if !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), "Max core file size 0 0") {
		t.Error("the worker may leave a core file")
	}
	stage := frame.NewRequest(0, frame.OpStage)
	stage.U8(frame.StageModule)
	stage.Hash([32]byte{1})
	stage.Str("package zone\n\nhour := time.clock([0, \"America/New_York\"])[0]\n")
	writer.Send(stage)
	activate := frame.NewRequest(1, frame.OpActivate)
	activate.U64(9)
	activate.U64(0)
	activate.U32(0)
	activate.U32(1)
	activate.Str("zone.rego")
	activate.Hash([32]byte{1})
	activate.U8(1)
	activate.U8(0)
	activate.U16(0)
	for range 3 {
		activate.U32(0)
	}
	activate.U8(1)
	activate.Str(`{"state": "fresh"}`)
	activate.U8(0)
	writer.Send(activate)
	if f, payload := read(); f.ID != 1 || payload.U8() != 0 || payload.U64() != 9 {
		t.Errorf("activate: %+v", f)
	}
	ask := frame.NewRequest(2, frame.OpEval)
	ask.I64(0)
	ask.U32(0)
	ask.U8(0)
	ask.U8(0)
	ask.Path([]string{"system", "notp"})
	ask.Str("")
	ask.Str("")
	ask.U8(0)
	ask.Str("")
	writer.Send(ask)
	if f, payload := read(); f.ID != 2 || payload.U8() != 0 || payload.U64() != 9 || payload.U8() != 1 || payload.U8() > 3 || payload.Str() != `{"state":"fresh"}` {
		t.Errorf("eval: %+v", f)
	}
	zone := frame.NewRequest(3, frame.OpEval) // time zones come from the program, not from files
	zone.I64(0)
	zone.U32(0)
	zone.U8(0)
	zone.U8(0)
	zone.Path([]string{"zone", "hour"})
	zone.Str("")
	zone.Str("")
	zone.U8(0)
	zone.Str("")
	writer.Send(zone)
	if f, payload := read(); f.ID != 3 || payload.U8() != 0 || payload.U64() != 9 || payload.U8() != 1 || payload.U8() > 3 || payload.Str() != "19" {
		t.Errorf("a time zone: %+v %q", f, f.Payload)
	}
	connection.Close()
	if err := command.Wait(); err != nil {
		t.Errorf("after the supervisor has gone: %v", err)
	}
}
