package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/wire"
)

// serve serves SSH for the one client whose key is on the kernel command line.
func serve(l net.Listener, host ssh.Signer, client ssh.PublicKey, children *reaper) {
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if bytes.Equal(key.Marshal(), client.Marshal()) {
				return nil, nil
			}
			return nil, errors.New("not the key of this guest")
		},
	}
	config.AddHostKey(host)
	for {
		conn, err := l.Accept()
		if err != nil {
			fmt.Printf("faultline-init: accept: %v\n", err)
			return
		}
		go func() {
			defer conn.Close()
			_, channels, requests, err := ssh.NewServerConn(conn, config)
			if err != nil {
				return
			}
			go ssh.DiscardRequests(requests)
			for c := range channels {
				if c.ChannelType() != "session" {
					c.Reject(ssh.UnknownChannelType, "only sessions are served")
					continue
				}
				ch, reqs, err := c.Accept()
				if err != nil {
					return
				}
				go (&session{ch: ch, children: children}).serve(reqs)
			}
		}()
	}
}

// session is one SSH session channel (RFC 4254, section 6).
type session struct {
	ch       ssh.Channel
	children *reaper
	env      []string
	term     *winsize // set by pty-req
	pty      *os.File
	pid      int
	mu       sync.Mutex
}

func (s *session) serve(reqs <-chan *ssh.Request) {
	for req := range reqs {
		ok, begin := true, (func())(nil)
		switch req.Type {
		case "env":
			var kv struct{ Name, Value string }
			if ok = ssh.Unmarshal(req.Payload, &kv) == nil; ok {
				s.env = append(s.env, kv.Name+"="+kv.Value)
			}
		case "pty-req":
			var p struct {
				Term                 string
				Cols, Rows, PxW, PxH uint32
				Modes                string
			}
			if ok = ssh.Unmarshal(req.Payload, &p) == nil; ok {
				s.term = &winsize{rows: uint16(p.Rows), cols: uint16(p.Cols)}
				s.env = append(s.env, "TERM="+p.Term)
			}
		case "window-change":
			var w struct{ Cols, Rows, PxW, PxH uint32 }
			if ok = ssh.Unmarshal(req.Payload, &w) == nil; ok {
				s.mu.Lock()
				if s.pty != nil {
					setWinsize(s.pty, winsize{rows: uint16(w.Rows), cols: uint16(w.Cols)})
				}
				s.mu.Unlock()
			}
		case "signal":
			var sig struct{ Name string }
			if ok = ssh.Unmarshal(req.Payload, &sig) == nil; ok {
				s.mu.Lock()
				if n := unix.SignalNum("SIG" + sig.Name); n != 0 && s.pid != 0 {
					unix.Kill(-s.pid, n)
				}
				s.mu.Unlock()
			}
		case "exec", "shell":
			cmd := wire.Command{Argv: []string{"/bin/sh"}}
			if req.Type == "exec" {
				var p struct{ Command string }
				if ok = ssh.Unmarshal(req.Payload, &p) == nil; ok {
					cmd = wire.ParseCommand(p.Command)
				}
			}
			if ok {
				begin = func() { s.run(cmd) }
			}
		default:
			ok = false
		}
		if req.WantReply {
			req.Reply(ok, nil)
		}
		if begin != nil {
			go begin() // the program may end at once and close the channel of the reply
		}
	}
}

// run runs a command and reports its exit status.
func (s *session) run(cmd wire.Command) {
	status := uint32(0)
	var err error
	switch {
	case cmd.Put != "":
		err = put(cmd.Put, s.ch)
	case cmd.Start:
		err = s.startDetached(cmd.Argv)
	default:
		var ws syscall.WaitStatus
		if ws, err = s.program(cmd.Argv); err == nil {
			if ws.Signaled() {
				s.ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
					Name    string
					Core    bool
					Message string
					Lang    string
				}{strings.TrimPrefix(unix.SignalName(ws.Signal()), "SIG"), ws.CoreDump(), "", ""}))
				s.ch.Close()
				return
			}
			status = uint32(ws.ExitStatus())
		}
	}
	if err != nil {
		fmt.Fprintf(s.ch.Stderr(), "%v\n", err)
		status = 127 // as shells report a command that could not be run
		if errors.Is(err, os.ErrPermission) {
			status = 126
		}
	}
	s.ch.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, status))
	s.ch.Close()
}

// put writes the channel's data to an executable file.
func put(path string, r io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return fmt.Errorf("write %s: %w", path, err)
	}
	return f.Close()
}

func (s *session) environ() []string { return append(os.Environ(), s.env...) }

// startDetached starts a program that outlives the session, with its output on the
// console. It is the agent: if it ends, the guest can't serve the host.
func (s *session) startDetached(argv []string) error {
	null, err := os.Open("/dev/null")
	if err != nil {
		return err
	}
	defer null.Close()
	_, ended, err := s.children.start(argv[0], argv, &os.ProcAttr{
		Env: s.environ(), Files: []*os.File{null, os.Stdout, os.Stderr}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return err
	}
	go func() {
		status := <-ended
		how := fmt.Sprintf("exit status %d", status.ExitStatus())
		if status.Signaled() {
			how = status.Signal().String()
		}
		giveUp(fmt.Errorf("%s ended: %s", argv[0], how))
	}()
	return nil
}

// program runs a program with the channel as its input and output, on a pseudo
// terminal if the client requested one.
func (s *session) program(argv []string) (syscall.WaitStatus, error) {
	path := argv[0]
	if !strings.Contains(path, "/") {
		for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
			if _, err := os.Stat(filepath.Join(dir, path)); err == nil {
				path = filepath.Join(dir, path)
				break
			}
		}
	}
	if s.term != nil {
		return s.onTerminal(path, argv)
	}
	var ours, theirs [3]*os.File
	for i := range ours {
		r, w, err := os.Pipe()
		if err != nil {
			return 0, err
		}
		if i == 0 {
			ours[i], theirs[i] = w, r
		} else {
			ours[i], theirs[i] = r, w
		}
	}
	ended, err := s.start(path, argv, theirs[:], &syscall.SysProcAttr{Setsid: true})
	for _, f := range theirs {
		f.Close()
	}
	if err != nil {
		for _, f := range ours {
			f.Close()
		}
		return 0, err
	}
	go func() {
		io.Copy(ours[0], s.ch)
		ours[0].Close()
	}()
	var out sync.WaitGroup
	for i, w := range []io.Writer{1: s.ch, 2: s.ch.Stderr()} {
		if w == nil {
			continue
		}
		out.Add(1)
		go func() {
			defer out.Done()
			io.Copy(w, ours[i])
			ours[i].Close()
		}()
	}
	status := <-ended
	out.Wait()
	return status, nil
}

func (s *session) start(
	path string,
	argv []string,
	files []*os.File,
	sys *syscall.SysProcAttr,
) (<-chan syscall.WaitStatus, error) {
	pid, ended, err := s.children.start(path, argv, &os.ProcAttr{Dir: "/root", Env: s.environ(), Files: files, Sys: sys})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", argv[0], err)
	}
	s.mu.Lock()
	s.pid = pid
	s.mu.Unlock()
	return ended, nil
}

func (s *session) onTerminal(path string, argv []string) (syscall.WaitStatus, error) {
	master, slave, err := openPTY()
	if err != nil {
		return 0, err
	}
	setWinsize(master, *s.term)
	s.mu.Lock()
	s.pty = master
	s.mu.Unlock()
	ended, err := s.start(
		path,
		argv,
		[]*os.File{slave, slave, slave},
		&syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0},
	)
	slave.Close()
	if err != nil {
		master.Close()
		return 0, err
	}
	go io.Copy(master, s.ch)
	io.Copy(s.ch, master) // ends with EIO when the last process has closed the terminal
	status := <-ended
	s.mu.Lock()
	s.pty = nil
	s.mu.Unlock()
	master.Close()
	return status, nil
}

type winsize struct{ rows, cols uint16 }

func setWinsize(f *os.File, w winsize) {
	unix.IoctlSetWinsize(int(f.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: w.rows, Col: w.cols})
}

// openPTY opens a pseudo terminal pair (pts(4)).
func openPTY() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		master.Close()
		return nil, nil, fmt.Errorf("open a pseudo terminal: %w", err)
	}
	return master, slave, nil
}
