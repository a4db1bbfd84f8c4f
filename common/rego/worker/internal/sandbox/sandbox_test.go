package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNothingIsLeftInside(t *testing.T) {
	probe := filepath.Join(t.TempDir(), "probe")
	build := exec.Command("go", "build", "-o", probe, "./testdata/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := "core: 0 dumpable: 0 read: false write: false listen: false"
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); errno != 0 {
		want = "core: 0 dumpable: 0 read:" // no Landlock here
	}
	out, err := exec.Command(probe).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("inside: %s (%v), want %s", out, err, want)
	}
	out, _ = exec.Command(probe, "orphan").CombinedOutput()
	if !strings.Contains(string(out), "the supervisor has gone") {
		t.Errorf("with another parent: %s", out)
	}
}
