package main

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/arch"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/sanitize"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/source"
)

// guestFlags are the common flags of exec and shell, which run one guest of one kernel.
type guestFlags struct {
	Kernel string `arg:"" help:"Spec of the kernel to boot."`
	Accel  string `enum:"auto,kvm,tcg" default:"auto" placeholder:"auto|kvm|tcg" help:"${accel}"`
	DryRun bool   `help:"Fetch the kernel, and print the QEMU command; boot nothing."`

	Timeout time.Duration `placeholder:"DURATION" help:"Stop after DURATION, such as 30s, with exit code 124."`
}

// guestExits are the exit codes of exec and shell.
const guestExits = `Exit codes:
  0..255 exit code of the program in the guest
  128+N  signal N killed the program
  124    --timeout expired
  2      invalid request, or a required program is not installed
  3      infrastructure failure
A program can exit with these codes, too. Only an error of faultline prints a line that begins
with "faultline:" on standard error.`

// guestDevices is the help on a guest's memory devices.
const guestDevices = `A guest has one CPU, 512 MiB of RAM and, with Debian's kernels, three nvdimms mounted with
-o dax: ext4 on /mnt/pmem1, XFS with reflink on /mnt/pmem2 (v6.0 and later), XFS on /mnt/pmem3.
/dev/pmem0 is a range of RAM. docs/reference/usage.md has the devices of other kernels.
`

// exitTimeout is the exit code after --timeout, as of timeout(1).
const exitTimeout = 124

// session starts a guest, calls do with a connection to it, and ends it. With --dry-run
// it prints the QEMU command instead.
func (f guestFlags) session(ctx context.Context, do func(context.Context, *vm.SSHClient) error) error {
	if f.Timeout < 0 {
		return errkind.Requestf("--timeout %v is negative; give a duration such as 30s", f.Timeout)
	}
	if err := source.All().Check(f.Kernel); err != nil {
		return err
	}
	// Check this first, because a kernel takes long to fetch.
	if _, err := qemu.Find(ctx, runtime.GOARCH); err != nil {
		return err
	}
	c, err := cache.Open("")
	if err != nil {
		return err
	}
	c.Log = progress
	k, err := source.Resolve(ctx, f.Kernel, kernels.Options{Cache: c, Log: progress, Cached: f.DryRun})
	if built := (*kernels.NotBuiltError)(nil); errors.As(err, &built) {
		fmt.Printf("# %s would be built: %s\n", sanitize.Line(f.Kernel), sanitize.Line(built.What))
		return nil
	}
	if err != nil {
		return err
	}
	defer k.Close()
	host, err := vm.NewHost(ctx, c, k.Arch)
	if err != nil {
		return err
	}
	defer host.Close()
	if f.DryRun {
		accel, _, err := host.KnownAccel(ctx, f.Accel)
		if err != nil && !errors.Is(err, vm.ErrNotTried) {
			return err
		}
		command, err := host.DryRun(ctx, vm.Spec{Kernel: k, Accel: accel})
		if err == nil {
			fmt.Println(command)
		}
		return err
	}
	accel, why, err := host.Accel(ctx, f.Accel, k)
	if err != nil {
		return err
	}
	t, err := host.Template(ctx, vm.Spec{Kernel: k, Accel: accel})
	if err != nil {
		return err
	}
	defer t.Close()
	if t.Built {
		if why != "" {
			why = " (kvm: " + why + ")"
		}
		progress("booted %s with %s in %.1f s%s; later guests start from a template",
			k.Name, accel, t.Boot.Seconds(), why)
	}
	g, err := t.Clone(ctx, vm.CloneOptions{})
	if err != nil {
		return err
	}
	defer g.Close()
	client, err := g.SSH(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	if f.Timeout == 0 {
		return do(ctx, client)
	}
	expired := fmt.Errorf("timed out after %v", f.Timeout)
	limited, cancel := context.WithTimeoutCause(ctx, f.Timeout, expired)
	defer cancel()
	if err = do(limited, client); err == nil || !errors.Is(context.Cause(limited), expired) {
		return err
	}
	// If the guest answers, the program or its system call hangs; if not, the guest does.
	if _, silent := g.Call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: "/proc/uptime"}}); silent != nil {
		return silent
	}
	progress("%v; the guest still responds", expired)
	return exitError(exitTimeout)
}

// exited returns nil, or an exitError with the exit code of the guest's program.
func exited(s vm.ExitStatus, err error) error {
	if err == nil && s.Code != 0 {
		return exitError(s.Code)
	}
	return err
}

// dynamicError reports a dynamically linked program: guests have no libraries.
type dynamicError struct{ path, needs string }

func (e *dynamicError) Error() string {
	return fmt.Sprintf("%s is not static: it needs %s, and a guest has no libraries", e.path, e.needs)
}

// static is findStatic for a program that the user has built.
func static(name string) (string, error) {
	path, err := findStatic(name)
	if dynamic := (*dynamicError)(nil); errors.As(err, &dynamic) {
		return "", errkind.Requestf("%v; build it with CGO_ENABLED=0 go build, or cc -static", err)
	}
	return path, err
}

// findStatic finds a program of the host like a shell, and rejects one that a guest
// can't run.
func findStatic(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil && !strings.Contains(name, "/") {
		if _, local := os.Stat(name); local == nil {
			return "", errkind.Requestf("no program %s in PATH; for the one in this folder write ./%s", name, name)
		}
		return "", errkind.Requestf("no program %s in PATH; give the path of a static program", name)
	}
	if errors.Is(err, exec.ErrDot) {
		return "", errkind.Requestf("%s is in this folder; write ./%s", name, name)
	}
	if path == "" {
		path = name // it may not be executable; the copy in the guest is
	}
	f, err := os.Open(path)
	if err != nil {
		return "", errkind.Requestf("%v; give the path of a static program", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", errkind.Requestf("%s is not a regular file; give the path of a static program", path)
	}
	return path, checkStatic(path, f)
}

// checkStatic reads the program headers (elf(5)).
func checkStatic(path string, r io.ReaderAt) error {
	bad := func(what string) error {
		return errkind.Requestf("%s is %s; give a static program for %s", path, what, runtime.GOARCH)
	}
	f, err := elf.NewFile(r)
	if err != nil {
		return bad("not an ELF program, and a guest has no shell to run a script")
	}
	if here, err := arch.Named(runtime.GOARCH); err != nil || f.Machine != here.Machine || f.Class != elf.ELFCLASS64 {
		return bad("a program for " + f.Machine.String())
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN { // static PIE is ET_DYN
		return bad("an ELF file, but not a program (" + f.Type.String() + ")")
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			data, _ := io.ReadAll(io.LimitReader(p.Open(), 4096))
			return &dynamicError{path, strings.TrimRight(string(data), "\x00")}
		}
	}
	if libs, _ := f.ImportedLibraries(); len(libs) > 0 {
		return &dynamicError{path, filepath.Join(libs...)}
	}
	return nil
}
