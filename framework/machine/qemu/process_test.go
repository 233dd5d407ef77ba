package qemu

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fake is a program that replaces QEMU. Descriptor 3 is the monitor's socket.
func fake(t *testing.T, script string) Binary {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qemu")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Binary{Path: path}
}

// socketDir returns a folder with a short name.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "flq")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// held returns the numbers of this process's descriptors and goroutines, once those that
// were stopped have ended.
func held(t *testing.T, most [2]int) (now [2]int) {
	t.Helper()
	for range 100 {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		if now = [2]int{len(fds), runtime.NumGoroutine()}; now[0] <= most[0] && now[1] <= most[1] {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return now
}

func TestStartThatFails(t *testing.T) {
	for name, test := range map[string]struct {
		bin  Binary
		says string
	}{
		"it ends at once":      {fake(t, "echo 'cannot do this' >&2; exit 3"), "QEMU ended: exit status 3: cannot do this"},
		"it ends a bit later":  {fake(t, "echo said; sleep 0.2; kill -ABRT $$"), "QEMU ended: signal: aborted"},
		"it never answers":     {fake(t, "exec sleep 3600"), "connect to QEMU's monitor: not in time"},
		"it is no program":     {Binary{Path: filepath.Join(t.TempDir(), "none")}, "no such file or directory"},
		"it closes everything": {fake(t, "exec 0<&- 1>&- 3<&- 4<&-; exec sleep 3600"), "connect to QEMU's monitor"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := socketDir(t)
			before := held(t, [2]int{math.MaxInt, math.MaxInt})
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("not in time"))
			defer cancel()
			p, err := Start(ctx, test.bin, Machine{}, Options{Dir: dir})
			if p != nil || err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got the process %v, error %v; want none, and an error with %q", p, err, test.says)
			}
			cancel()
			if after := held(t, before); after[0] > before[0] || after[1] > before[1] {
				t.Errorf("got %v descriptors and goroutines, then %v; want no more", before, after)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("got %v left, want none", left)
			}
		})
	}
}

// TestMonitor needs a real QEMU, but no guest: its machine has no kernel and is stopped.
func TestMonitor(t *testing.T) {
	bin, err := Find(t.Context(), "amd64")
	if err != nil {
		t.Skip(err)
	}
	dir := socketDir(t)
	ram := filepath.Join(dir, "ram")
	if err := os.WriteFile(ram, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(ram, 64*MiB); err != nil {
		t.Fatal(err)
	}
	before := held(t, [2]int{math.MaxInt, math.MaxInt})
	p, err := Start(t.Context(), bin, Machine{Accel: TCG, RAM: File{ram, 64 * MiB}, Incoming: true}, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	ctx := t.Context()
	if s, err := p.Monitor.Status(ctx); err != nil || s != "inmigrate" {
		t.Errorf("got status %q, error %v; want inmigrate", s, err)
	}
	if out, err := p.Monitor.HMP(ctx, "info name\n"); err != nil {
		t.Errorf("got %q, error %v; want no error", out, err)
	}
	if err := p.Monitor.Run(ctx, "no-such-command", nil, nil); err == nil || !strings.Contains(err.Error(), "QMP no-such-command: ") {
		t.Errorf("got %v, want an error of QMP no-such-command", err)
	}
	short, cancel := context.WithTimeoutCause(ctx, 50*time.Millisecond, errors.New("no patience"))
	defer cancel()
	if _, err := p.Monitor.WaitEvent(short, 0, "STOP", "RESUME"); err == nil || !strings.Contains(err.Error(), "wait for QMP event STOP, RESUME: no patience") {
		t.Errorf("got %v, want wait for QMP event STOP, RESUME: no patience", err)
	}
	// A monitor that does not answer, like that of a stopped process.
	unix.Kill(p.PID(), unix.SIGSTOP)
	short, cancel = context.WithTimeoutCause(ctx, 50*time.Millisecond, errors.New("no patience"))
	defer cancel()
	if _, err := p.Monitor.Status(short); err == nil || !strings.Contains(err.Error(), "QMP query-status: no patience") {
		t.Errorf("got %v, want QMP query-status: no patience", err)
	}
	ended := make(chan error, 1)
	go func() { _, err := p.Monitor.WaitEvent(ctx, 0, "STOP"); ended <- err }()
	p.Kill()
	p.Kill() // a second call is harmless
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "QEMU ended") {
		t.Errorf("got %v, want QEMU ended", err)
	}
	if err := p.Monitor.Run(ctx, "stop", nil, nil); err == nil || !strings.Contains(err.Error(), "QMP stop: QEMU ended") {
		t.Errorf("got %v, want QMP stop: QEMU ended", err)
	}
	var end *EndError
	if err := p.Err(); !errors.As(err, &end) || !end.Asked || end.Status != "signal: killed" {
		t.Errorf("got %v, %+v; want an end that was asked for, by signal: killed", err, end)
	}
	if after := held(t, before); after[0] > before[0] || after[1] > before[1] {
		t.Errorf("got %v descriptors and goroutines, then %v; want no more", before, after)
	}
}

// A machine that is reset stays stopped until AtEnd returns; then QEMU exits with status
// 0.
func TestAtEnd(t *testing.T) {
	bin, err := Find(t.Context(), "amd64")
	if err != nil {
		t.Skip(err)
	}
	for _, look := range []bool{true, false} {
		dir := socketDir(t)
		ram := filepath.Join(dir, "ram")
		if err := os.WriteFile(ram, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(ram, 64*MiB); err != nil {
			t.Fatal(err)
		}
		var status, registers string
		opt := Options{Dir: dir}
		if look {
			opt.AtEnd = func(ctx context.Context, m *Monitor) {
				status, _ = m.Status(ctx)
				registers, _ = m.HMP(ctx, "info registers -a")
			}
		}
		p, err := Start(t.Context(), bin, Machine{Accel: TCG, RAM: File{ram, 64 * MiB}, Incoming: true}, opt)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Kill()
		if err := p.Monitor.Run(t.Context(), "system_reset", nil, nil); err != nil {
			t.Error(err)
		}
		select {
		case <-p.Done():
		case <-time.After(endLimit):
			t.Fatal("QEMU goes on")
		}
		var end *EndError
		if err := p.Err(); !errors.As(err, &end) || end.Asked || end.Status != "exit status 0" {
			t.Errorf("got %v, %+v; want an end that was not asked for, by exit status 0", err, end)
		}
		if look && (!strings.Contains(registers, "CPU#0") || status == "running") {
			t.Errorf("got status %q, registers %q; want it stopped, with CPU#0", status, registers)
		}
	}
}

// A user's TMPDIR and the cache's path may be anything: long, and with characters that
// have a meaning in QEMU's options and its human monitor.
func TestPathsOfAnyKind(t *testing.T) {
	bin, err := Find(t.Context(), "amd64")
	if err != nil {
		t.Skip(err)
	}
	bin.User = nil // with another user, QEMU gets no paths
	for name, folder := range map[string]string{
		"a space": "my own files", "a comma": "a,share=off,b", "quotes": `it's "this" \n`, "long": strings.Repeat("long", 50), "an equals sign": "a=b", "a newline": "a\nb", "a colon": "c:d",
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(socketDir(t), folder)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			ram := filepath.Join(dir, "ram")
			if err := os.WriteFile(ram, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(ram, 64*MiB); err != nil {
				t.Fatal(err)
			}
			p, err := Start(t.Context(), bin, Machine{Accel: TCG, RAM: File{ram, 64 * MiB}, Incoming: true}, Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Kill()
			if s, err := p.Monitor.Status(t.Context()); err != nil || s != "inmigrate" {
				t.Errorf("got status %q, error %v; want inmigrate", s, err)
			}
			for range 2 { // the first call adds the stub, the second finds it
				conn, err := p.DialGDB(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Fatal(err)
				}
				if _, err := conn.Write([]byte("$?#3f")); err != nil {
					t.Error(err)
				}
				ack := make([]byte, 1)
				if _, err := conn.Read(ack); err != nil || ack[0] != '+' && ack[0] != '$' {
					t.Errorf("got %q of the stub, error %v; want + or $", ack, err)
				}
				conn.Close()
			}
			p.Kill()
			if left, err := os.ReadDir(dir); err != nil || len(left) != 1 { // the memory belongs to the caller
				t.Errorf("got %v left, error %v; want the memory alone", left, err)
			}
		})
	}
}
