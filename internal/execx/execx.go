// Package execx is the only place that starts processes on the host: tools such as
// apt-get and git, QEMU, suites, a debugger. It finds programs, kills them together with
// their children, and returns their output or an error with the last lines of standard
// error. For a program that is not installed, the error
// names the package to install. It does not interpret arguments or output.
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

	"github.com/faultline/faultline/internal/distro"
	"github.com/faultline/faultline/internal/errkind"
)

// MissingError reports that a program is not installed.
type MissingError struct {
	Tool    string // the program, such as "mkfs.xfs"
	Package string // the Debian package that contains it, such as "xfsprogs", or several
}

// Command returns the command that installs the program.
func (e *MissingError) Command() string {
	return distro.Here().Install(strings.Fields(e.Package)...)
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is not installed; install it with: %s", e.Tool, e.Command())
}

// ErrKind implements errkind.Kinder.
func (e *MissingError) ErrKind() errkind.Kind { return errkind.Tool }

// systemDirs are not in the default PATH of users other than root on Debian.
var systemDirs = []string{"/usr/local/sbin", "/usr/sbin", "/sbin"}

// Find returns the absolute path of a program. If it is not installed, the error is a
// *MissingError that names the Debian package pkg.
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

// outputLimit is how long to wait for the end of a program's output after its exit. It
// is long because the host may be busy.
const outputLimit = 30 * time.Second

// Command returns a command that is killed, with its children, when ctx is done.
func Command(ctx context.Context, dir string, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	// The callers parse messages, so they have to be in English.
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

// RunError reports that a program failed.
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

// Run runs a program and returns its standard output. If the program fails, the error is
// a *RunError with its standard error.
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

// Ask is Run with a time limit, for a query such as a program's version that a broken
// program may never answer.
func Ask(ctx context.Context, limit time.Duration, name string, args ...string) ([]byte, error) {
	return AskAs(ctx, nil, nil, limit, name, args...)
}

// AskAs is Ask as another user and in another environment; nil means the current one.
func AskAs(
	ctx context.Context, user *syscall.Credential, env []string, limit time.Duration, name string, args ...string,
) ([]byte, error) {
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
