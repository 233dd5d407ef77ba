// Package build compiles a Linux source tree, beside it and never in it (make
// O=), with what Faultline's guests need set in its configuration. It fetches no
// source and keeps no kernel; it says what the tree's Kconfig made of what was asked.
package build

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
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

	"github.com/faultline/faultline/internal/tool"
	"github.com/faultline/faultline/kernels/kconfig"
)

// Build is a tree and where it is compiled.
type Build struct {
	// Source is the tree's folder. Nothing is written there.
	Source string
	// Objects is the folder of what is compiled. What an earlier build left there
	// is taken over as far as make finds it good.
	Objects string
	// CC is the compiler, "gcc-11"; empty stands for gcc.
	CC string
	// Base is a whole .config to begin with; empty stands for tinyconfig.
	Base string
	// Fragment is what must be set beside, in the form of a .config.
	Fragment string
	// Log is the file that gets all that make prints; the next build begins it anew.
	Log string
	// Held is a file that make and what it starts keep open as long as one of them
	// lives, such as a lock; may be nil.
	Held *os.File
	// Progress hears of each file that was compiled, with how many there are so far; may be nil.
	Progress func(files int)
}

// Unmet is a symbol that is not as it was asked for: Kconfig drops one whose
// dependencies are not set, and says nothing.
type Unmet struct{ Symbol, Asked, Got string }

func (u Unmet) String() string {
	return fmt.Sprintf("CONFIG_%s=%s (got %s)", strings.TrimPrefix(u.Symbol, "CONFIG_"), u.Asked, u.Got)
}

// Error is a tree that does not build.
type Error struct {
	Target string // make's
	First  string // the first error in what make printed; "" if none looks like one
	Log    string
	Err    error
}

func (e *Error) Error() string {
	first := e.First
	if first == "" {
		first = e.Err.Error()
	}
	return fmt.Sprintf("make %s: %s (the whole log: %s)", e.Target, first, e.Log)
}

func (e *Error) Unwrap() error { return e.Err }

// ErrFull is a disk that has no room for a tree or its objects.
var ErrFull = errors.New("no space left on the device; free some, or set XDG_CACHE_HOME to a folder with more")

// Tools says by a *tool.MissingError what a kernel's build calls and this machine lacks.
func Tools(ctx context.Context, cc string) error {
	cc = gcc(cc)
	var names, packages []string
	for _, n := range [][2]string{{"make", "make"}, {cc, cc}, {"flex", "flex"}, {"bison", "bison"}, {"bc", "bc"}, {"perl", "perl"}} {
		if _, err := tool.Find(n[0], n[1]); err != nil {
			names, packages = append(names, n[0]), append(packages, n[1])
		}
	}
	if _, err := exec.LookPath(cc); err != nil && cc != "gcc" {
		cc = "gcc" // which finds the same headers
	}
	for _, h := range [][2]string{{"stdio.h", "libc6-dev"}, {"gelf.h", "libelf-dev"}} { // objtool wants libelf
		if _, err := exec.LookPath(cc); err != nil || exec.CommandContext(ctx, cc, "-E", "-o", os.DevNull, "-include", h[0], "-x", "c", os.DevNull).Run() != nil {
			names, packages = append(names, h[0]), append(packages, h[1])
		}
	}
	if len(names) == 0 {
		return ctx.Err()
	}
	return &tool.MissingError{Tool: strings.Join(names, ", "), Package: strings.Join(packages, " ")}
}

// Compiler is what the compiler says it is: another one gives other kernels.
func Compiler(ctx context.Context, cc string) (string, error) {
	bin, err := tool.Find(gcc(cc), gcc(cc))
	if err != nil {
		return "", err
	}
	out, err := tool.Run(ctx, "", nil, bin, "--version")
	line, _, _ := strings.Cut(string(out), "\n")
	return line, err
}

// gcc is the compiler's name: also that of the Debian package which has it.
func gcc(cc string) string {
	if cc == "" {
		return "gcc"
	}
	return cc
}

// Configure writes the configuration, and says in what it is not as asked. One
// that comes out as before is left alone, so that make sees no change.
func (b *Build) Configure(ctx context.Context) ([]Unmet, error) {
	if err := os.MkdirAll(b.Objects, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(b.Log, nil, 0o644); err != nil {
		return nil, err
	}
	const file, fresh = ".config", ".config.fresh"
	path := filepath.Join(b.Objects, fresh)
	defer os.Remove(path)
	if b.Base != "" {
		if err := os.WriteFile(path, []byte(b.Base), 0o644); err != nil {
			return nil, err
		}
	} else if err := b.make(ctx, "tinyconfig", "KCONFIG_CONFIG="+fresh); err != nil {
		return nil, err
	}
	// The last line for a symbol holds.
	if err := appendTo(path, "\n"+b.Fragment); err != nil {
		return nil, err
	}
	if err := b.make(ctx, "olddefconfig", "KCONFIG_CONFIG="+fresh); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	got, err := kconfig.ParseBytes(data)
	if err != nil {
		return nil, fmt.Errorf("read what olddefconfig wrote: %w", err)
	}
	asked, err := kconfig.ParseBytes([]byte(b.Fragment))
	if err != nil {
		return nil, fmt.Errorf("read what was asked for: %w", err)
	}
	if old, err := os.ReadFile(filepath.Join(b.Objects, file)); err != nil || !bytes.Equal(old, data) {
		if err := os.WriteFile(filepath.Join(b.Objects, file), data, 0o644); err != nil {
			return nil, err
		}
	}
	return Compare(asked, got), nil
}

// Compare says in which symbols a configuration is not what was asked for.
func Compare(asked, got *kconfig.Config) (list []Unmet) {
	value := func(c *kconfig.Config, symbol string) string {
		if v := c.Get(symbol); v != "" {
			return v
		}
		return "n"
	}
	for _, s := range asked.Symbols() {
		if a, g := value(asked, s), value(got, s); a != g {
			list = append(list, Unmet{s, a, g})
		}
	}
	return list
}

// Compile compiles what Configure configured. It leaves vmlinux in Objects.
func (b *Build) Compile(ctx context.Context, targets ...string) error {
	for _, t := range targets {
		if err := b.make(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// make runs a target of the kernel's Makefile. What would go into a kernel of
// the machine and the time is fixed: the same source gives the same file.
func (b *Build) make(ctx context.Context, target string, more ...string) error {
	log, err := os.OpenFile(b.Log, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	args := append([]string{"O=" + b.Objects, fmt.Sprintf("-j%d", runtime.NumCPU()), "KBUILD_BUILD_USER=faultline", "KBUILD_BUILD_HOST=faultline",
		"KBUILD_BUILD_VERSION=1", "KBUILD_BUILD_TIMESTAMP=1970-01-01"}, more...)
	if ccache, err := exec.LookPath("ccache"); err == nil {
		args = append(args, "CC="+ccache+" "+gcc(b.CC))
	} else if b.CC != "" {
		args = append(args, "CC="+b.CC)
	}
	cmd := tool.Command(ctx, b.Source, nil, "make", append(args, target)...)
	// A make that is asked to end ends its compilers, and removes what they had half
	// written; one that is killed leaves objects that look newer than their source.
	cmd.SysProcAttr.Pdeathsig = unix.SIGTERM
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	if b.Held != nil {
		cmd.ExtraFiles = []*os.File{b.Held}
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = log
	runtime.LockOSThread() // prctl(2): the signal comes when the thread ends that started it
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
		return fmt.Errorf("make %s ended by itself: %w; see whether memory ran out (dmesg)", target, err)
	}
	first, full := firstError(b.Log)
	if full {
		return fmt.Errorf("make %s in %s: %w", target, b.Objects, ErrFull)
	}
	return &Error{Target: target, First: first, Log: b.Log, Err: err}
}

// follow counts the files of which make tells that they are compiled.
func (b *Build) follow(r io.Reader) {
	files := 0
	s := bufio.NewScanner(r)
	for s.Scan() {
		if f := strings.Fields(s.Text()); len(f) > 0 && slices.Contains([]string{"CC", "AS", "HOSTCC"}, f[0]) {
			files++
			if b.Progress != nil {
				b.Progress(files)
			}
		}
	}
	_, _ = io.Copy(io.Discard, r) // after a line that is too long: make must not wait
}

var (
	reError = regexp.MustCompile(`(?:fatal )?error: |undefined reference to|The source tree is not clean|No rule to make target|multiple definition of`)
	reMake  = regexp.MustCompile(`^(?:make|\S*Makefile).*\*\*\* `)
)

// firstError is the first line of a log that says why make failed, and whether the disk was full.
func firstError(file string) (first string, full bool) {
	f, err := os.Open(file)
	if err != nil {
		return "", false
	}
	defer f.Close()
	byMake := ""
	for s := bufio.NewScanner(f); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		switch {
		case strings.Contains(line, "No space left on device"):
			return line, true
		case first == "" && reError.MatchString(line):
			first = line
		case byMake == "" && reMake.MatchString(line):
			byMake = line
		}
	}
	if first == "" {
		first = byMake
	}
	return first, false
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// Image writes the vmlinux, without what only a debugger reads (it can be twenty
// times the rest, and QEMU reads all of it); its symbols stay.
func (b *Build) Image(ctx context.Context, to string) error {
	from := filepath.Join(b.Objects, "vmlinux")
	f, err := elf.Open(from)
	if err != nil {
		return fmt.Errorf("read %s: %w", from, err)
	}
	defer f.Close()
	if f.Section(".debug_info") != nil {
		bin, err := tool.Find("objcopy", "binutils")
		if err != nil {
			return err
		}
		_, err = tool.Run(ctx, "", nil, bin, "--strip-debug", from, to)
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Install lays the modules into dir/lib/modules/RELEASE (make modules_install).
func (b *Build) Install(ctx context.Context, dir string) error {
	if err := b.make(ctx, "modules_install", "INSTALL_MOD_PATH="+dir); err != nil {
		return err
	}
	links, err := filepath.Glob(filepath.Join(dir, "lib/modules/*/*"))
	if err != nil {
		return err
	}
	for _, l := range links {
		// build and source lead out of the folder, to what may be gone tomorrow.
		if info, err := os.Lstat(l); err == nil && info.Mode()&os.ModeSymlink != 0 {
			if err := os.Remove(l); err != nil {
				return err
			}
		}
	}
	return nil
}
