package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "update the golden files in the scripts")

// built is a folder with the files of bin/, as from make build, and the probe program.
var built string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	var err error
	if built, err = os.MkdirTemp("", "faultline-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(built)
	os.Setenv(freshCells, "1")
	if err := os.MkdirAll(filepath.Join(built, "guest"), 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// The flags are those of make build, so that both share Go's build cache and the cached
	// templates. All are static.
	static := []string{"CGO_ENABLED=0", "GOFLAGS="}
	for _, b := range []struct {
		args, env []string
	}{
		{[]string{"-ldflags=-X main.version=v0-test", "-o", built + "/", "."}, static[:1]},
		{[]string{"-ldflags=-s -w -buildid=", "-o", built + "/guest/", "../../guest/init", "../../guest/agent"}, static},
		{[]string{"-ldflags=-s -w -buildid=", "-o", built + "/guest/", "../../guest/victim32"}, append(static, "GOARCH=386")},
		{[]string{"-o", built + "/", "./testdata/probe"}, static},
	} {
		cmd := exec.Command("go", append([]string{"build", "-trimpath", "-buildvcs=false"}, b.args...)...)
		cmd.Env = append(os.Environ(), b.env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build %v: %v\n%s", b.args, err, out)
			return 1
		}
	}
	return m.Run()
}

// freshCells makes runs of the tests observe every cell.
const freshCells = "FAULTLINE_FRESH_CELLS"

// TestScript runs the scripts that need no guest.
func TestScript(t *testing.T) { scripts(t, "testdata/script", "") }

// TestNetwork runs the scripts that access the machine's package sources.
func TestNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("accesses the machine's package sources; not with -short")
	}
	scripts(t, "testdata/network", userCache(t))
}

// TestGuest runs the scripts that boot real guests.
func TestGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("boots real guests; not with -short")
	}
	scripts(t, "testdata/guest", userCache(t))
}

// TestRun runs the scripts of faultline run and of other commands that boot guests.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("boots real guests; not with -short")
	}
	scripts(t, "testdata/run", userCache(t))
}

// userCache returns the user's cache folder, which has the kernels already.
func userCache(t *testing.T) string {
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func scripts(t *testing.T, dir, cache string) {
	testscript.Run(t, testscript.Params{
		Dir: dir, Condition: condition, UpdateScripts: *update, RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			// The path of a socket has at most 108 bytes (unix(7)), so it is not below $WORK.
			tmp, err := os.MkdirTemp("", "flt")
			if err != nil {
				return err
			}
			env.Defer(func() { os.RemoveAll(tmp) })
			own := cache
			if own == "" {
				own = filepath.Join(env.WorkDir, "cache")
			}
			env.Setenv("BIN", built)
			env.Setenv("PATH", built+":"+os.Getenv("PATH"))
			env.Setenv("TMPDIR", tmp)
			env.Setenv("XDG_CACHE_HOME", own)
			env.Setenv(freshCells, "1")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "clean": clean, "bzimage": bzimage, "truncate": truncate,
			"paused": paused, "forge": forge, "cells": cells, "accels": accels, "infront": inFront, "same": sameCells, "record": record, "broken": brokenKernel, "smalldisk": smallDisk, "takenover": takenOver, "damage": damage, "forget": forget, "entry": entry,
			"scriptedtree": scriptedTree, "addcommit": addCommit,
		},
	})
}

// exits runs a command that must exit with that code: exits 2 faultline run.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v", err)
	}
	got := 0
	if exit != nil {
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, not %d", got, want)
	}
}

// clean checks that the commands left no processes, no files outside of the cache, and
// no partial entries in the cache.
func clean(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(nothingLeft(ts.Getenv("TMPDIR")))
	half, err := filepath.Glob(filepath.Join(ts.Getenv("XDG_CACHE_HOME"), "faultline", "*", "*.tmp*"))
	ts.Check(err)
	// Other processes use the user's cache, too.
	if strings.HasPrefix(ts.Getenv("XDG_CACHE_HOME"), ts.Getenv("WORK")) && len(half) > 0 {
		ts.Fatalf("left in the cache: %v", half)
	}
}

// nothingLeft waits until all processes with this TMPDIR have ended and their files in it
// are gone.
func nothingLeft(tmp string) error {
	var left []string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		left = processes(tmp)
		files, err := filepath.Glob(filepath.Join(tmp, "*"))
		if err != nil {
			return err
		}
		if left = append(left, files...); len(left) == 0 {
			return nil
		}
	}
	return fmt.Errorf("left behind: %s", strings.Join(left, ", "))
}

// processes returns the commands of the processes with this TMPDIR in their environment
// (proc_pid_environ(5)), and of their children.
func processes(tmp string) (commands []string) {
	for pid := range running(tmp) {
		command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		commands = append(commands, strings.ReplaceAll(string(command), "\x00", " "))
	}
	return commands
}

// running returns the names of those processes. Root in a container may not read the
// environment of a QEMU of user nobody, which is found by its parent.
func running(tmp string) map[int]string {
	names, parents := map[int]string{}, map[int]int{}
	found := map[int]string{}
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		stat, _ := os.ReadFile(dir + "/stat")
		// "PID (COMMAND) STATE PARENT …" (proc_pid_stat(5)), and a command may have spaces.
		at := bytes.LastIndexByte(stat, ')')
		var state string
		var parent int
		if _, err := fmt.Sscan(string(stat[at+1:]), &state, &parent); err != nil || state == "Z" {
			continue
		}
		_, name, _ := strings.Cut(string(stat[:at]), "(")
		names[pid], parents[pid] = name, parent
		environ, _ := os.ReadFile(dir + "/environ")
		if bytes.Contains(append([]byte{0}, environ...), []byte("\x00TMPDIR="+tmp+"\x00")) {
			found[pid] = name
		}
	}
	for n := -1; n != len(found); {
		n = len(found)
		for pid, parent := range parents {
			if _, is := found[parent]; is {
				found[pid] = names[pid]
			}
		}
	}
	return found
}

// bzimage writes the header of a bzImage of a release, without a kernel
// (Documentation/arch/x86/boot.rst): bzimage FILE RELEASE.
func bzimage(ts *testscript.TestScript, neg bool, args []string) {
	b := make([]byte, 4096)
	le := binary.LittleEndian
	b[0x1f1] = 3
	le.PutUint16(b[0x1fe:], 0xaa55)
	copy(b[0x202:], "HdrS")
	le.PutUint16(b[0x206:], 0x20f)
	le.PutUint16(b[0x20e:], 0x300-0x200)
	le.PutUint32(b[0x248:], 0x40)
	le.PutUint32(b[0x24c:], 1024)
	copy(b[0x300:], args[1]+" (nobody@localhost) #1 SMP\x00")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

// truncate cuts a file in half.
func truncate(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), info.Size()/2))
}
