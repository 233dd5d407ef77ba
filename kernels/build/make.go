package build

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/execx"
)

// command prepares the kernel's make. What a build would record of the machine and the
// time is fixed: the same source gives the same file.
func (b *Build) command(ctx context.Context, args ...string) *exec.Cmd {
	args = append(
		[]string{
			"O=" + b.Objects,
			fmt.Sprintf("-j%d", runtime.NumCPU()),
			"KBUILD_BUILD_USER=faultline",
			"KBUILD_BUILD_HOST=faultline",
			"KBUILD_BUILD_VERSION=1",
			"KBUILD_BUILD_TIMESTAMP=1970-01-01",
		},
		args...)
	if b.CC != "" {
		args = append([]string{"CC=" + b.CC}, args...)
	}
	cmd := execx.Command(ctx, b.Source, b.ccache(), "make", args...)
	cmd.Env = slices.DeleteFunc(cmd.Env, foreign)
	// On SIGTERM, make ends its compilers and removes partially written files; after
	// SIGKILL, objects remain that look newer than their source.
	cmd.SysProcAttr.Pdeathsig = unix.SIGTERM
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	if b.Held != nil {
		cmd.ExtraFiles = []*os.File{b.Held}
	}
	return cmd
}

// ccache returns the environment in which the compiler's name resolves to ccache, if
// installed: by a link, as in ccache(1), so that make's commands are the same with
// and without it. Otherwise make would recompile everything when ccache is installed
// or removed.
func (b *Build) ccache() []string {
	bin, err := exec.LookPath("ccache")
	if err != nil {
		return nil
	}
	dir := filepath.Join(b.Objects, ".ccache")
	link := filepath.Join(dir, gcc(b.CC))
	if to, _ := os.Readlink(link); to != bin {
		if os.MkdirAll(dir, 0o755) != nil || os.RemoveAll(link) != nil || os.Symlink(bin, link) != nil {
			return nil // ccache only saves time
		}
	}
	// Another checkout of the same files is equivalent: paths below CCACHE_BASEDIR
	// become relative.
	return []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "CCACHE_BASEDIR=" + filepath.Dir(b.Objects)}
}

// foreign reports whether an environment variable would change the build without being
// part of a kernel's key: those of the kernel's Makefiles, those by which a make that
// runs us controls its own children, and git's, with which scripts/setlocalversion would
// name a commit of another repository.
func foreign(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return strings.HasPrefix(name, "KBUILD_") || strings.HasPrefix(name, "KCONFIG_") || strings.HasPrefix(name, "GIT_") ||
		slices.Contains(
			[]string{
				"ARCH",
				"SUBARCH",
				"CROSS_COMPILE",
				"LLVM",
				"LLVM_IAS",
				"KAFLAGS",
				"KCPPFLAGS",
				"LOCALVERSION",
				"MAKEFLAGS",
				"MFLAGS",
				"MAKEFILES",
				"MAKELEVEL",
			},
			name,
		)
}

// make runs targets of the kernel's Makefile, given after variables to set.
func (b *Build) make(ctx context.Context, args ...string) error {
	log, err := os.OpenFile(b.Log, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	target := strings.Join(
		slices.DeleteFunc(slices.Clone(args), func(a string) bool { return strings.Contains(a, "=") }),
		" ",
	)
	cmd := b.command(ctx, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = log
	runtime.LockOSThread() // prctl(2): the signal is sent when the thread that started the child ends
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return err
	}
	b.follow(io.TeeReader(out, log))
	err = cmd.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil {
		return nil
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && !exit.Exited() {
		return fmt.Errorf("make %s: %w; check whether memory ran out (dmesg)", target, err)
	}
	f := firstFailure(b.Log)
	f.line = strings.ReplaceAll(f.line, b.Source+"/", "") // the location of the checkout is irrelevant
	switch {
	case f.blame == full:
		return fmt.Errorf("make %s: %s: %w", target, f.line, ErrFull)
	case f.blame == memory:
		return fmt.Errorf(
			"make %s: %s: memory ran out (see dmesg); free some, or build on a machine with more (the whole log: %s)",
			target,
			f.line,
			b.Log,
		)
	case f.blame == missing && f.pkg != "":
		return fmt.Errorf("make %s: %s: %w", target, f.line, &execx.MissingError{Tool: f.what, Package: f.pkg})
	case f.blame == missing:
		return fmt.Errorf(
			"make %s: a program that it calls is missing: %s; build again (the whole log: %s)",
			target,
			f.line,
			b.Log,
		)
	}
	return &Error{Target: target, First: f.line, Advice: f.advice, Log: b.Log, Err: err}
}

// compiled are the prefixes of the kernel's make for files that it compiles.
var compiled = []string{"CC", "AS", "HOSTCC"}

// follow counts the compiled files in make's output.
func (b *Build) follow(r io.Reader) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		if f := strings.Fields(s.Text()); len(f) > 0 && slices.Contains(compiled, f[0]) {
			if b.files++; b.files > b.of {
				b.of = 0 // the estimate was too low
			}
			if b.Progress != nil {
				b.Progress(b.files, b.of)
			}
		}
	}
	_, _ = io.Copy(io.Discard, r) // after an overlong line: make must not block
}

// reListed matches, in the output of make -n, the echo of a command that compiles.
var reListed = regexp.MustCompile(`echo '  (?:` + strings.Join(compiled, "|") + `) `)

// listed returns the number of files that make would compile for targets, if nothing is
// compiled yet: make -n lists them, and fails at linking missing files. 0 if unknown.
func (b *Build) listed(ctx context.Context, targets ...string) int {
	out, err := b.command(ctx, append([]string{"-n", "-k", "--output-sync"}, targets...)...).Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return 0
	}
	return len(reListed.FindAll(out, -1))
}
