package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/wire"
)

func key(t *testing.T) ssh.Signer {
	t.Helper()
	_, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// children is the only reaper of this process: it receives every child's status.
var children = newReaper()

// server serves SSH on the loopback address, as in a guest, and returns the client's key
// and a function that connects with a key.
func server(t *testing.T) (client ssh.Signer, dial func(ssh.Signer) (*ssh.Client, error)) {
	t.Helper()
	if err := unix.Access("/root", unix.X_OK); err != nil {
		t.Skip("PID 1 starts programs in /root: ", err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	host, client := key(t), key(t)
	go serve(l, host, client.PublicKey(), children)
	return client, func(with ssh.Signer) (*ssh.Client, error) {
		c, err := ssh.Dial("tcp", l.Addr().String(), &ssh.ClientConfig{
			User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(with)}, HostKeyCallback: ssh.FixedHostKey(host.PublicKey()), Timeout: 10 * time.Second,
		})
		if err == nil {
			t.Cleanup(func() { c.Close() })
		}
		return c, err
	}
}

func newSession(t *testing.T, c *ssh.Client) *ssh.Session {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSSHRunsPrograms(t *testing.T) {
	client, dial := server(t)
	if _, err := dial(key(t)); err == nil {
		t.Fatal("login with another key succeeded")
	}
	c, err := dial(client)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		command     string
		in          string
		out, stderr string
		code        int
		signal      string
	}{
		"output":             {command: wire.Command{Argv: []string{"/bin/sh", "-c", `printf '%s|' "$@"; echo e >&2`, "sh", "a b", "", "$x"}}.String(), out: "a b||$x|", stderr: "e\n"},
		"typed":              {command: "printf %s|%s a b", out: "a|b"},
		"much input":         {command: "/bin/cat", in: strings.Repeat("0123456789abcdef", 1<<16), out: strings.Repeat("0123456789abcdef", 1<<16)},
		"exit status":        {command: wire.Command{Argv: []string{"/bin/sh", "-c", "exit 3"}}.String(), code: 3},
		"killed by a signal": {command: wire.Command{Argv: []string{"/bin/sh", "-c", "kill -BUS $$"}}.String(), signal: "BUS"},
		"no such program":    {command: "/no/such/program x", stderr: "/no/such/program: no such file or directory\n", code: 127},
		"not executable":     {command: "/etc/passwd", stderr: "/etc/passwd: permission denied\n", code: 126},
		"put to a directory": {command: wire.Command{Put: "/"}.String(), stderr: "open /: is a directory\n", code: 127},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t, c)
			var out, stderr bytes.Buffer
			s.Stdin, s.Stdout, s.Stderr = strings.NewReader(test.in), &out, &stderr
			err := s.Run(test.command)
			code, signal := 0, ""
			var exit *ssh.ExitError
			if errors.As(err, &exit) {
				code, signal = exit.ExitStatus(), exit.Signal()
			} else if err != nil {
				t.Fatal(err)
			}
			if signal == "" && code != test.code || signal != test.signal || out.String() != test.out || stderr.String() != test.stderr {
				t.Errorf("got exit status %d, signal %q, stdout %.60q, stderr %.100q; want %d, %q, %.60q, %.100q",
					code, signal, out.String(), stderr.String(), test.code, test.signal, test.out, test.stderr)
			}
		})
	}
}

func TestSSHPut(t *testing.T) {
	client, dial := server(t)
	c, err := dial(client)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "new", "script")
	for _, text := range []string{"#!/bin/sh\necho first, and longer\n", "#!/bin/sh\necho second\n"} {
		s := newSession(t, c)
		s.Stdin = strings.NewReader(text)
		if err := s.Run(wire.Command{Put: path}.String()); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("got %q, %v; want %q", got, err, text)
		}
	}
	if out, err := newSession(t, c).Output(wire.Command{Argv: []string{path}}.String()); err != nil || string(out) != "second\n" {
		t.Errorf("got %q, error %v; want second", out, err)
	}
}

// A program run with Start outlives the connection.
func TestSSHStart(t *testing.T) {
	client, dial := server(t)
	c, err := dial(client)
	if err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(t.TempDir(), "mark")
	if err := newSession(t, c).Run(wire.Command{Start: true, Argv: []string{"/bin/sh", "-c", "sleep 0.2; echo done > " + mark}}.String()); err != nil {
		t.Fatal(err)
	}
	c.Close()
	for range 100 {
		if got, _ := os.ReadFile(mark); string(got) == "done\n" {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the program did not outlive the connection")
}

func TestSSHTerminal(t *testing.T) {
	client, dial := server(t)
	c, err := dial(client)
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, c)
	if err := s.RequestPty("vt100", 33, 77, ssh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}
	in, _ := s.StdinPipe()
	out, _ := s.StdoutPipe()
	if err := s.Start(wire.Command{Argv: []string{"/bin/sh", "-c", `stty size; echo $TERM; read -r _; stty size; exit 5`}}.String()); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, len("33 77\r\nvt100\r\n"))
	if _, err := io.ReadFull(out, first); err != nil || string(first) != "33 77\r\nvt100\r\n" {
		t.Errorf("got %q, error %v; want 33 77 and vt100", first, err)
	}
	if err := s.WindowChange(44, 88); err != nil {
		t.Error(err)
	}
	// window-change has no reply; a request that has one follows it.
	s.SendRequest("env", true, ssh.Marshal(struct{ Name, Value string }{"A", "b"}))
	io.WriteString(in, "\n")
	rest, _ := io.ReadAll(out)
	var exit *ssh.ExitError
	if err := s.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != 5 || !strings.Contains(string(rest), "44 88") {
		t.Errorf("got %q, error %v; want 44 88, and exit status 5", rest, err)
	}
}

// Every status reaches its waiter, with many children.
func TestReaper(t *testing.T) {
	type started struct {
		want  int
		ended <-chan int
	}
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var all []started
	for i := range 50 {
		// The grandchild is orphaned here; in a guest PID 1 would inherit it.
		_, status, err := children.start("/bin/sh", []string{"sh", "-c", "(:) & exit " + string(rune('0'+i%10))}, &os.ProcAttr{Files: []*os.File{null, null, null}})
		if err != nil {
			t.Fatal(err)
		}
		code := make(chan int, 1)
		go func() { code <- (<-status).ExitStatus() }()
		all = append(all, started{i % 10, code})
	}
	for _, s := range all {
		select {
		case got := <-s.ended:
			if got != s.want {
				t.Errorf("got exit status %d, want %d", got, s.want)
			}
		case <-time.After(time.Minute):
			t.Fatal("no exit status arrived")
		}
	}
	if _, _, err := children.start("/no/such", []string{"x"}, &os.ProcAttr{Files: []*os.File{null}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want os.ErrNotExist", err)
	}
}
