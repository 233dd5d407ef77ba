package vm

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/faultline/faultline/kernels/source"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/shell"
	"github.com/faultline/faultline/kernels"
)

// The two kernels that are installed without effort on a Debian 12 machine.
const (
	old    = "apt:bookworm"
	recent = "apt:bookworm/6.12"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(ownerEnv) != "" {
		own()
	}
	os.Exit(m.Run())
}

// newHost returns a Host with its own TMPDIR. When it is closed, no file may be left
// there, and no process that uses it.
func newHost(t *testing.T) *Host {
	t.Helper()
	if testing.Short() {
		t.Skip("boots real guests; -short leaves them out")
	}
	tmp := tempDir(t)
	t.Setenv("TMPDIR", tmp)
	c, err := cache.Open("")
	must(t, err)
	r, err := NewHost(t.Context(), c, runtime.GOARCH)
	must(t, err)
	t.Cleanup(func() {
		must(t, r.Close())
		if err := nothingLeft(tmp); err != nil {
			t.Error(err)
		}
	})
	return r
}

// tempDir is a folder with a short name, for the paths of sockets.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "flt")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// nothingLeft returns an error if files are left in a folder, or processes with its name
// still run, after a while.
func nothingLeft(dir string) error {
	deadline := time.Now().Add(time.Minute)
	for {
		var left []string
		files, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for _, f := range files {
			left = append(left, f.Name())
		}
		for _, pid := range processes(dir) {
			left = append(left, fmt.Sprint("process ", pid))
		}
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("left in %s: %v", dir, left)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// processes returns the processes, except this one, with a text in their command line or
// environment (a clone has TMPDIR only in the latter), and their children, because root
// in a container may not read the environment of nobody's QEMU.
func processes(text string) (pids []int) {
	parents := map[int]int{}
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		stat, _ := os.ReadFile(dir + "/stat")
		// "PID (COMMAND) STATE PARENT …" (proc_pid_stat(5)), and a command may have
		// spaces.
		var state string
		var parent int
		if _, err := fmt.Sscan(string(stat[bytes.LastIndexByte(stat, ')')+1:]), &state, &parent); err != nil || state == "Z" || pid == os.Getpid() {
			continue
		}
		parents[pid] = parent
		line, _ := os.ReadFile(dir + "/cmdline")
		environ, _ := os.ReadFile(dir + "/environ")
		if bytes.Contains(line, []byte(text)) || bytes.Contains(environ, []byte(text)) {
			pids = append(pids, pid)
		}
	}
	for i := 0; i < len(pids); i++ {
		for pid, parent := range parents {
			if parent == pids[i] && !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// guests returns the QEMU processes that this one started and did not end.
func guests() (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range all {
		stat, _ := os.ReadFile(path)
		var pid, parent int
		var name, state string
		if _, err := fmt.Sscan(string(stat), &pid, &name, &state, &parent); err == nil && parent == os.Getpid() && strings.HasPrefix(name, "(qemu") {
			pids = append(pids, pid)
		}
	}
	return pids
}

func must(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var tr *GuestError
	if errors.As(err, &tr) && tr.Tail != "" {
		t.Log(tr.Tail)
	}
	t.Fatal(err)
}

// kernel resolves a kernel's spec with the user's cache.
func kernel(t *testing.T, spec string) *kernels.Kernel {
	t.Helper()
	c, err := cache.Open("")
	must(t, err)
	k, err := source.Resolve(t.Context(), spec, kernels.Options{Cache: c, Log: t.Logf})
	must(t, err)
	t.Cleanup(func() { k.Close() })
	return k
}

func template(t *testing.T, r *Host, spec string) *Template {
	t.Helper()
	tm, err := r.Template(t.Context(), Spec{Kernel: kernel(t, spec), Accel: qemu.TCG})
	must(t, err)
	t.Cleanup(func() { tm.Close() })
	return tm
}

// clone starts a clone that ends with the test.
func clone(t *testing.T, tm *Template) *Guest {
	t.Helper()
	g, err := tm.Clone(t.Context(), CloneOptions{})
	must(t, err)
	t.Cleanup(g.Close)
	return g
}

func readGuest(t *testing.T, g *Guest, path string) string {
	t.Helper()
	reply, err := g.Call(t.Context(), &wire.Request{ReadFile: &wire.ReadFile{Path: path}})
	must(t, err)
	if reply.File.Errno != "" {
		t.Fatalf("read %s in the guest: %s", path, reply.File.Errno)
	}
	return string(reply.File.Data)
}

func TestBoot(t *testing.T) {
	for _, spec := range []string{old, recent} {
		t.Run(spec, func(t *testing.T) {
			r, k := newHost(t), kernel(t, spec)
			console := filepath.Join(t.TempDir(), "new", "console.log")
			g, err := r.Boot(t.Context(), Spec{Kernel: k, Accel: qemu.TCG, Console: console})
			must(t, err)
			defer g.Close()
			if g.Hello.Release != k.Release {
				t.Errorf("got the release %s of the guest, want %s", g.Hello.Release, k.Release)
			}
			var names []string
			last := time.Duration(0)
			for _, p := range g.Timings.Points {
				names = append(names, p.Name)
				if p.After < last {
					t.Errorf("%s: got %v, want it not before the point ahead of it", p.Name, p.After)
				}
				last = p.After
			}
			want := []string{"user_space", "ssh_listens", "ssh_connected", "agent_pushed", "ready", "complete"}
			if !slices.Equal(names, want) {
				t.Errorf("got the points %v, want %v", names, want)
			}
			t.Log(g.Timings)
			if len(g.Devices) < len(nvdimmSpecs) || len(g.Mounted) != len(nvdimmSpecs) {
				t.Errorf("got pmem devices %+v, mounted %v; want one of each NVDIMM", g.Devices, g.Mounted)
			}
			testSSH(t, g)
			g.Close()
			if text, err := os.ReadFile(console); err != nil || !strings.Contains(string(text), saidUserSpace) {
				t.Errorf("the console's file: got %q, error %v; want it with %q", text, err, saidUserSpace)
			}
		})
	}
}

// testSSH runs a program in the guest.
func testSSH(t *testing.T, g *Guest) {
	t.Helper()
	ctx := t.Context()
	c, err := g.SSH(ctx)
	must(t, err)
	defer c.Close()
	probe := probeBinary(t)
	must(t, c.Put(ctx, probe, "/run/probe"))
	for _, want := range []struct {
		argv        []string
		in          string
		out, stderr string
		status      ExitStatus
	}{
		{argv: []string{"/run/probe", "echo", "two words", "", "*'\"$x"}, out: "two words||*'\"$x"},
		{argv: []string{"probe", "cat"}, in: strings.Repeat("0123456789", 20_000), out: strings.Repeat("0123456789", 20_000)},
		{argv: []string{"probe", "stderr"}, stderr: "to stderr\n", status: ExitStatus{Code: 7}},
		{argv: []string{"probe", "kill"}, status: ExitStatus{Code: 128 + 15, Signal: "TERM"}},
		{argv: []string{"/no/such"}, stderr: "/no/such: no such file or directory\n", status: ExitStatus{Code: 127}},
	} {
		var out, stderr bytes.Buffer
		status, err := c.Exec(ctx, want.argv, Streams{Stdin: strings.NewReader(want.in), Stdout: &out, Stderr: &stderr})
		if err != nil || status != want.status || out.String() != want.out || stderr.String() != want.stderr {
			t.Errorf("%q: got %+v, error %v, stdout %.80q, stderr %.80q; want %+v, %.80q, %.80q",
				want.argv, status, err, out.String(), stderr.String(), want.status, want.out, want.stderr)
		}
	}
	var clock bytes.Buffer
	asked := time.Now()
	_, err = c.Exec(ctx, []string{"probe", "clock"}, Streams{Stdout: &clock})
	now, _ := strconv.ParseInt(clock.String(), 10, 64)
	// The clock was read between these two times, however long the exchange took.
	const off = 2 * time.Second
	if at := time.Unix(now, 0); err != nil || at.Before(asked.Add(-off)) || at.After(time.Now().Add(off)) {
		t.Errorf("got the guest's clock at %v, want about %v (%q, %v)", at, asked, clock.String(), err)
	}
}

// probeBinary builds a small program for guests.
func probeBinary(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "probe")
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, "./testdata/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return out
}

func TestDryRun(t *testing.T) {
	r, k := newHost(t), kernel(t, recent)
	command, err := r.DryRun(t.Context(), Spec{Kernel: k, Accel: qemu.TCG, CPUs: 2})
	must(t, err)
	if left, _ := os.ReadDir(r.dir); len(guests()) > 0 || slices.ContainsFunc(left, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), "dry-") }) {
		t.Errorf("got %v left, want no guest, and no file", left)
	}
	out, err := exec.Command("sh", "-c", `for word in `+command+`; do printf '%s\0' "$word"; done`).Output()
	must(t, err)
	words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if shell.Quote(words) != command {
		t.Errorf("got %q of a shell, want the words of %s", words, command)
	}
	if words[0] != r.QEMU.Path || !slices.Contains(words, k.Image) {
		t.Errorf("got the words %q, want QEMU and the kernel", words)
	}
	at := slices.Index(words, "-append") + 1
	if !strings.Contains(words[at], "console=ttyS0 ") || !strings.Contains(words[at], " memmap=64M!256M ") || !strings.HasSuffix(words[at], " faultline.key=SSH_PUBLIC_KEY") {
		t.Errorf("got the kernel arguments %q, want a console, memmap= and a key", words[at])
	}
}

// ownerEnv makes the test binary a process that owns a guest and never ends.
const ownerEnv = "FAULTLINE_TEST_OWNER"

func own() {
	ctx := context.Background()
	fail := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(3)
		}
	}
	c, err := cache.Open("")
	fail(err)
	k, err := source.Resolve(ctx, recent, kernels.Options{Cache: c})
	fail(err)
	r, err := NewHost(ctx, c, runtime.GOARCH)
	fail(err)
	tm, err := r.Template(ctx, Spec{Kernel: k, Accel: qemu.TCG})
	fail(err)
	for range 2 {
		g, err := tm.Clone(ctx, CloneOptions{})
		fail(err)
		fmt.Print(g.PID(), " ")
	}
	fmt.Println("run")
	select {}
}

// TestOwnerKilled kills a process that owns guests with SIGKILL.
func TestOwnerKilled(t *testing.T) {
	r := newHost(t)
	template(t, r, recent)
	tmp := tempDir(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownerEnv+"=1", "TMPDIR="+tmp)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var first, second int
	var word string
	_, err = fmt.Fscan(out, &first, &second, &word)
	if err != nil || word != "run" || len(processes(tmp)) < 4 { // the owner, its keeper, two guests
		t.Errorf("got %d %d %q of the owner, error %v, processes %v; want run, and at least 4 processes",
			first, second, word, err, processes(tmp))
	}
	cmd.Process.Kill()
	cmd.Wait()
	if err := nothingLeft(tmp); err != nil {
		t.Error(err)
	}
	for _, pid := range []int{first, second} {
		for end := time.Now().Add(time.Minute); unix.Kill(pid, 0) == nil; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("QEMU %d still runs", pid)
				unix.Kill(pid, unix.SIGKILL)
				break
			}
		}
	}
}
