package qemu

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// If this process is root, QEMU is not: it has only the user's ids, no supplementary
// group and no capability, and cannot enter root's folders, one of which contains its
// memory.
func TestUnprivileged(t *testing.T) {
	bin, err := Find(t.Context(), "amd64")
	if err != nil {
		t.Skip(err)
	}
	if os.Geteuid() != 0 {
		if bin.User != nil {
			t.Errorf("not root: got the user %+v, want none", bin.User)
		}
		t.Skip("only root can start a process of another user")
	}
	if bin.User == nil {
		t.Fatal("QEMU would run as root")
	}
	p, dir := incoming(t, bin, Options{})
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", bin.User.Uid), fmt.Sprintf("Gid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", bin.User.Gid),
		"Groups:\t \n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n",
	} {
		if !strings.Contains(string(status), want) {
			t.Errorf("no %q in\n%s", want, status)
		}
	}
	if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.PID())); err != nil || cwd != "/" {
		t.Errorf("got the working directory %s, error %v; want /", cwd, err)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "ram"), &st); err != nil || st.Uid != 0 || st.Gid != bin.User.Gid || st.Mode&0o777 != 0o660 {
		t.Errorf("its memory: got %+v, error %v; want root's, of its group, mode 0660", st, err)
	}
	for _, arg := range p.Args() {
		if strings.Contains(arg, dir) {
			t.Errorf("got the path %s, want none that it cannot use", arg)
		}
	}
}

func TestUserOfADevice(t *testing.T) {
	user := syscall.Credential{Uid: 65534, Gid: 65534}
	for name, test := range map[string]struct {
		mode, gid uint32
		want      *syscall.Credential
	}{
		"everybody's":      {unix.S_IFCHR | 0o666, 0, &user},
		"a group's":        {unix.S_IFCHR | 0o660, 104, &syscall.Credential{Uid: 65534, Gid: 65534, Groups: []uint32{104}}},
		"root's":           {unix.S_IFCHR | 0o600, 0, nil},
		"root's group's":   {unix.S_IFCHR | 0o660, 0, nil},
		"readable by all":  {unix.S_IFCHR | 0o644, 104, nil},
		"a group's and ro": {unix.S_IFCHR | 0o640, 104, nil},
	} {
		if diff := cmp.Diff(test.want, withDevice(user, test.mode, test.gid)); diff != "" {
			t.Errorf("%s: credential mismatch (-want +got):\n%s", name, diff)
		}
	}
}

// A QEMU that only root can start is started by root.
func TestQEMUInAFolderOfRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has folders of root's")
	}
	dir := t.TempDir() // below one of mode 0700
	if err := os.WriteFile(filepath.Join(dir, "qemu-system-x86_64"), []byte("#!/bin/sh\necho version 9.0.0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for _, open := range []bool{false, true} {
		if open {
			for _, d := range []string{dir, filepath.Dir(dir)} {
				if err := os.Chmod(d, 0o755); err != nil {
					t.Fatal(err)
				}
			}
		}
		bin, err := Find(t.Context(), "amd64")
		if err != nil || bin.Version != "9.0.0" || !bin.Sandboxed || (bin.User != nil) != open {
			t.Errorf("folder open %t: got %+v, error %v; want version 9.0.0, in a sandbox, with a user if open",
				open, bin, err)
		}
	}
}
