// Package execx calls the programs that own a job: apt-get, dpkg-deb,
// depmod, mkfs. It knows how to ask for one that is not installed, and none of
// what they do.
package execx

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/faultline/faultline/internal/errkind"
)

// MissingError says that a program is not installed.
type MissingError struct {
	Tool    string // the program, as "mkfs.xfs"
	Package string // the Debian package that has it, as "xfsprogs"
}

// Command is what installs the tool.
func (e *MissingError) Command() string {
	c := "apt-get install -y " + e.Package
	if os.Geteuid() != 0 {
		c = "sudo " + c
	}
	return c
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is not installed (Debian package %s); run: %s", e.Tool, e.Package, e.Command())
}

// ErrKind implements errkind.Kinder.
func (e *MissingError) ErrKind() errkind.Kind { return errkind.Tool }

// systemDirs are missing from the PATH of Debian's users other than root.
var systemDirs = []string{"/usr/local/sbin", "/usr/sbin", "/sbin"}

// Find returns the absolute path of a program that a Debian package has, or a
// *MissingError.
func Find(name, pkg string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return filepath.Abs(p)
	}
	for _, dir := range systemDirs {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	return "", &MissingError{Tool: name, Package: pkg}
}

// outputLimit is how long the output of a program may take to end after the program
// itself: a busy host may be so long about it.
const outputLimit = 30 * time.Second

// Command prepares a program that dies with ctx, with what it started.
func Command(ctx context.Context, dir string, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	// Messages are read: they have to be in English.
	cmd.Env = append(append(os.Environ(), "LC_ALL=C"), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = outputLimit
	return cmd
}

// Prepare prepares a program whose life the caller manages by itself: QEMU, which
// has death signal and user of its own, or a debugger, which owns the terminal.
// Every program that this module starts on the host is prepared here or by Command.
func Prepare(name string, args ...string) *exec.Cmd { return exec.Command(name, args...) }

// RunError is a program that ended badly.
type RunError struct {
	Name   string
	Stderr string
	Err    error
}

func (e *RunError) Error() string {
	s := fmt.Sprintf("%s: %v", e.Name, e.Err)
	if lines := strings.Split(strings.TrimSpace(e.Stderr), "\n"); lines[0] != "" {
		s += ": " + strings.Join(lines[max(0, len(lines)-4):], " / ")
	}
	return s
}

func (e *RunError) Unwrap() error { return e.Err }

// Run runs a program and returns what it printed; a *RunError has its complaints.
func Run(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	return run(ctx, Command(ctx, dir, env, name, args...))
}

func run(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return out.Bytes(), &RunError{Name: filepath.Base(cmd.Path), Stderr: errs.String(), Err: err}
	}
	return out.Bytes(), nil
}

// Ask is Run for what a program tells of itself (its version), which one that is
// broken may never do: it gets so much time.
func Ask(ctx context.Context, limit time.Duration, name string, args ...string) ([]byte, error) {
	return AskAs(ctx, nil, nil, limit, name, args...)
}

// AskAs is Ask by another user and in another environment; nil stands for ours.
func AskAs(ctx context.Context, user *syscall.Credential, env []string, limit time.Duration, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %v", limit))
	defer cancel()
	cmd := Command(ctx, "", nil, name, args...)
	if cmd.SysProcAttr.Credential = user; user != nil {
		cmd.Dir = "/"
	}
	if env != nil {
		cmd.Env = env
	}
	return run(ctx, cmd)
}
