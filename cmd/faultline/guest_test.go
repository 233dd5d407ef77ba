package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// command returns a faultline command with its own TMPDIR, as in the scripts. After the
// test, no process or file of it may remain.
func command(t *testing.T, args ...string) *exec.Cmd {
	if testing.Short() {
		t.Skip("boots real guests; not with -short")
	}
	tmp, err := os.MkdirTemp("", "flt") // short, because socket paths are limited
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(built, "faultline"), args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "PATH="+built+":"+os.Getenv("PATH"))
	t.Cleanup(func() {
		if err := nothingLeft(tmp); err != nil {
			t.Error(err)
		}
		os.RemoveAll(tmp)
	})
	return cmd
}

// TestEnd ends faultline while a program runs in its guest: with SIGINT like Ctrl-C, with
// SIGTERM like a service manager, and with SIGKILL, so that it can't clean up.
func TestEnd(t *testing.T) {
	for sig, want := range map[syscall.Signal]string{
		syscall.SIGINT:  "exit status 130",
		syscall.SIGTERM: "exit status 130",
		syscall.SIGKILL: "signal: killed",
	} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			cmd := command(t, "exec", "--accel=tcg", "apt:bookworm", "--", "probe", "sleep")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil || line != "running\n" {
				t.Errorf("got %q, error %v of the guest's program; want running", line, err)
			}
			cmd.Process.Signal(sig)
			if got := fmt.Sprint(cmd.Wait()); got != want {
				t.Errorf("ended with %q, want %q: %s", got, want, stderr.String())
			}
			if sig != syscall.SIGKILL && !strings.HasSuffix(stderr.String(), "faultline: interrupted\n") {
				t.Errorf("got stderr %s, want it to end with faultline: interrupted", stderr.String())
			}
		})
	}
}

// TestTerminal uses a shell interactively, on a terminal that changes its size, and whose
// settings must be restored at the end.
func TestTerminal(t *testing.T) {
	cmd := command(t, "shell", "--accel=tcg", "apt:bookworm")
	master, slave := openTerminal(t)
	resize := func(rows, cols uint16) {
		if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}); err != nil {
			t.Fatal(err)
		}
	}
	modes := func() unix.Termios {
		m, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		return *m
	}
	before := modes()
	resize(31, 97)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.Env = append(cmd.Env, "TERM=vt100")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	screen := watch(master)
	expect := func(text string) {
		t.Helper()
		if !screen.wait(text, time.Minute) {
			cmd.Process.Kill()
			t.Fatalf("no %q on the screen: %q", text, screen.text())
		}
	}
	expect("# ")
	fmt.Fprint(master, "stty size; echo $TERM-$((6*7))\n")
	expect("31 97\r\nvt100-42\r\n")
	resize(40, 120)
	// The new size does not arrive in order with the input, so poll for it.
	fmt.Fprint(master, "until [ \"$(stty size)\" = '40 120' ]; do :; done; echo re''sized\n")
	expect("resized\r\n")
	fmt.Fprint(master, "sh -c 'echo sle\"\"eping; exec sleep 100'\n")
	expect("sleeping\r\n")
	fmt.Fprint(master, "\x03") // Ctrl-C goes to the guest
	fmt.Fprint(master, "echo still he''re; exit 9\n")
	expect("still here\r\n")
	if got := fmt.Sprint(cmd.Wait()); got != "exit status 9" {
		t.Errorf("ended with %q, want exit status 9", got)
	}
	if after := modes(); after != before {
		t.Errorf("got the modes %+v of the terminal, then %+v; want the same", before, after)
	}
}

// openTerminal opens a pseudo terminal (pts(4)).
func openTerminal(t *testing.T) (master, slave *os.File) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// screen collects the output of a terminal.
type screen struct {
	mu  sync.Mutex
	all []byte
}

func watch(master *os.File) *screen {
	s := &screen{}
	go func() { // ends when the terminal is closed
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			s.mu.Lock()
			s.all = append(s.all, b[:n]...)
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.all)
}

func (s *screen) wait(text string, limit time.Duration) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(s.text(), text) {
			return true
		}
	}
	return false
}
