package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// standstill returns a machine without a kernel, whose memory is a file in the folder.
func standstill(t *testing.T, dir string) Machine {
	t.Helper()
	ram := filepath.Join(dir, "ram")
	if err := os.WriteFile(ram, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(ram, 64*MiB); err != nil {
		t.Fatal(err)
	}
	return Machine{Accel: TCG, RAM: File{ram, 64 * MiB}}
}

// incoming makes opt's folder and starts a QEMU with such a machine that waits for a
// state. It is killed at the end of the test.
func incoming(t *testing.T, bin Binary, opt Options) (p *Process, dir string) {
	t.Helper()
	opt.Dir = socketDir(t)
	m := standstill(t, opt.Dir)
	m.Incoming = true
	p, err := Start(t.Context(), bin, m, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	return p, opt.Dir
}

// loop is a kernel that jumps to itself, by the boot protocol's setup header
// (Documentation/arch/x86/boot.rst).
func loop() []byte {
	k := make([]byte, 8192)
	k[0x1f1] = 1 // setup_sects
	copy(k[0x1fe:], "\x55\xaa\xeb\xfeHdrS\x04\x02")
	copy(k[0x22c:], "\xff\xff\xff\x37") // initrd_addr_max
	return k
}

// The state is transferred from one QEMU to another, independent of the names of folders,
// and neither starts a program for it, which the sandbox does not allow.
func TestState(t *testing.T) {
	bin, err := Find(t.Context(), "amd64")
	if err != nil {
		t.Skip(err)
	}
	t.Run("as its user", func(t *testing.T) { testState(t, bin) })
	if bin.User != nil {
		bin.User = nil
		t.Run("as root", func(t *testing.T) { testState(t, bin) })
	}
}

func testState(t *testing.T, bin Binary) {
	dir := filepath.Join(socketDir(t), strings.Repeat("long, and with a comma ", 6))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	from := standstill(t, dir)
	from.Share = true
	from.Kernel = filepath.Join(dir, "kernel")
	from.Initrd = from.Kernel
	if err := os.WriteFile(from.Kernel, loop(), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Start(t.Context(), bin, from, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	if err := p.Monitor.Run(t.Context(), "stop", nil, nil); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "saved state")
	if err := p.SaveState(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(state); err != nil || info.Size() < 10_000 {
		t.Errorf("got %v, error %v; want a file of at least 10000 bytes", info, err)
	}
	if err := p.SaveState(t.Context(), state); !errors.Is(err, os.ErrExist) {
		t.Errorf("an existing file: got %v, want os.ErrExist", err)
	}
	p.Kill()

	to := from
	to.Share, to.Incoming = false, true
	c, err := Start(t.Context(), bin, to, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Kill()
	if bin.Sandboxed {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.PID()))
		if err != nil || !strings.Contains(string(status), "Seccomp:\t2\n") || !strings.Contains(string(status), "NoNewPrivs:\t1\n") {
			t.Errorf("got error %v, want it in a sandbox, without new privileges:\n%s", err, status)
		}
	}
	if err := c.LoadState(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Monitor.Status(t.Context()); err != nil || s != "paused" {
		t.Errorf("got status %q, error %v; want paused", s, err)
	}
	started := filepath.Join(dir, "started")
	if bin.Sandboxed {
		_ = c.Monitor.Run(t.Context(), "migrate", map[string]any{"uri": "exec:touch '" + started + "'"}, nil)
		for range 100 { // it is killed meanwhile
			if c.Err() != nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	c.Kill()
	if _, err := os.Stat(started); err == nil {
		t.Error("it started a program")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 3 { // memory, kernel, state
		t.Errorf("got %v left, error %v; want the memory, the kernel and the state", left, err)
	}
}

// A QEMU that does not read or write its state does not block beyond the context.
func TestStateOfAStoppedQEMU(t *testing.T) {
	bin, err := Find(t.Context(), "amd64")
	if err != nil {
		t.Skip(err)
	}
	p, dir := incoming(t, bin, Options{})
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, 8*MiB), 0o600); err != nil {
		t.Fatal(err)
	}
	why := errors.New("no patience")
	for name, do := range map[string]func(context.Context) error{
		"load": func(ctx context.Context) error {
			time.AfterFunc(0, func() { unix.Kill(p.PID(), unix.SIGSTOP) })
			return p.LoadState(ctx, big)
		},
		"save": func(ctx context.Context) error { return p.SaveState(ctx, filepath.Join(dir, "out")) },
	} {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, why)
		if err := do(ctx); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
		cancel()
	}
}
