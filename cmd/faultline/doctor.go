package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/faultline/faultline/kernels/matrix"
	"github.com/faultline/faultline/kernels/source"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/analysis/needs"
	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/internal/sanitize"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/build"
)

type doctorCmd struct {
	KVM    bool     `name:"kvm" help:"Also boot a cached kernel under KVM."`
	Kernel []string `placeholder:"SPEC" sep:"none" help:"Check this kernel's configuration (repeatable)."`
}

func (doctorCmd) Help() string {
	return `Print one line per prerequisite: what was found, or what is missing and how to fix it. A prerequisite
is optional if only some subcommands need it, or if it only makes Faultline faster. The last line is
the command that installs all missing packages.

With --kernel, print instead which scenarios the configuration of a kernel rules out, and which
configuration symbols would enable them. This boots nothing.

` + kernelSpecs() + `
Examples:
  faultline doctor --kvm
  faultline doctor --kernel apt:bookworm/linux-image-cloud-amd64

Exit codes:
  0    nothing required is missing
  2    something required is missing; with --kernel: the
       configuration of one of the kernels rules out any guest
  3    infrastructure failure`
}

// Resources that a run needs, in bytes.
const (
	needDisk   = 2 << 30    // unpacked kernels, with a template each
	needMemory = 1536 << 20 // a guest of 512 MiB, its QEMU, and the host system
)

// finding is a line of doctor's output.
type finding struct {
	what string
	// Either found describes what is available, or missing what is missing and how to fix
	// it.
	found, missing string
	optional       bool
	// install lists the packages that fix it, or is empty.
	install string
}

// row returns the finding as a table row, which may contain output of a guest.
func (f finding) row() string {
	state, text := "ok", f.found
	if f.missing != "" {
		state, text = "missing", f.missing
		if f.optional {
			text = "optional: " + text
		}
	}
	return fmt.Sprintf("%s\t%s\t%s\n", state, f.what, sanitize.Line(text))
}

func (c *doctorCmd) Run(ctx context.Context) error {
	if len(c.Kernel) > 0 {
		return examine(ctx, c.Kernel)
	}
	all := []finding{checkQEMU(ctx), checkKVM(ctx, c.KVM)}
	all = append(all, checkTools("e2fsprogs", "", "mkfs.ext4"), checkTools("xfsprogs", "", "mkfs.xfs"), checkTools("kmod", "", "depmod"),
		checkTools("dpkg", "", "dpkg-deb"), checkTools("apt", "", "apt-get", "apt-config", "apt-cache", "/usr/lib/apt/apt-helper"),
		checkTools("git", "tree: kernels, bisect and backport need it", "git"), checkBuild(ctx),
		checkTools("ccache", "compiles tree: kernels again in less time", "ccache"), checkTools("gdb", "repro --gdb needs it", "gdb"),
		checkBusybox(), checkGo(ctx), checkDisk(), checkMemory(),
		finding{what: "processors", found: fmt.Sprintf("%d, each runs a guest", runtime.NumCPU())})
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	var packages []string
	required := false
	for _, f := range all {
		if f.missing != "" {
			required = required || !f.optional
			for pkg := range strings.FieldsSeq(f.install) {
				if !slices.Contains(packages, pkg) {
					packages = append(packages, pkg)
				}
			}
		}
		fmt.Fprint(w, f.row())
	}
	w.Flush()
	if len(packages) > 0 {
		sudo := ""
		if os.Geteuid() != 0 {
			sudo = "sudo "
		}
		fmt.Printf("\nTo install what is missing:\n  %sapt-get install --no-install-recommends %s\n", sudo, strings.Join(packages, " "))
	}
	if required {
		return exitError(errkind.ExitUsage)
	}
	return nil
}

// examine prints the configuration symbols that kernels do not have.
func examine(ctx context.Context, specs []string) error {
	for _, spec := range specs {
		if err := source.All().Check(spec); err != nil {
			return err
		}
	}
	all, err := scenarios(ctx)
	if err != nil {
		return err
	}
	none := false
	for _, spec := range specs {
		k, err := source.Resolve(ctx, spec, kernels.Options{Log: progress})
		if err != nil {
			return err
		}
		lost := needs.Of(k, all)
		k.Close()
		fmt.Print(lost)
		none = none || len(lost.Guest) > 0
	}
	if none {
		return exitError(errkind.ExitUsage)
	}
	return nil
}

func checkQEMU(ctx context.Context) finding {
	f := finding{what: "QEMU"}
	bin, err := qemu.Find(ctx, runtime.GOARCH)
	var missing *qemu.MissingError
	switch {
	case errors.As(err, &missing):
		f.missing, f.install = missing.Reason, missing.Package
	case err != nil:
		f.missing, f.install = err.Error(), ""
	default:
		f.found = bin.Version + ", " + bin.Path
		if bin.User == nil && os.Geteuid() == 0 {
			f.found += "; can't run as nobody: guests run as root"
		}
		if !bin.Sandboxed {
			f.found += "; built without seccomp: guests run without a sandbox"
		}
	}
	return f
}

func checkKVM(ctx context.Context, boot bool) finding {
	f := finding{what: "KVM", optional: true}
	err := vm.OpenKVM()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.missing = "no /dev/kvm: guests run under TCG, which is slower; " +
			"enable virtualisation in the firmware, or nested virtualisation for this machine"
	case errors.Is(err, fs.ErrPermission):
		f.missing = fmt.Sprintf("%v: guests run under TCG, which is slower; "+
			"join the group kvm: sudo usermod -aG kvm $USER, then log in again", err)
	case err != nil:
		f.missing = fmt.Sprintf("%v: guests run under TCG, which is slower", err)
	default:
		ask := tryKVM
		if !boot {
			ask = knownOfKVM
		}
		switch problem, err := ask(ctx); {
		case err != nil:
			f.found = fmt.Sprintf("/dev/kvm opens; to check that it runs guests: faultline doctor --kvm (%v)", err)
		case problem != "":
			f.missing = fmt.Sprintf("/dev/kvm opens, but KVM runs no guests: they run under TCG, which is slower; "+
				"is this machine a guest without nested virtualisation? (%s)", problem)
		default:
			f.found = "a guest reached user space with it"
		}
	}
	return f
}

// knownOfKVM returns why KVM failed for the last guest, or "" if it worked.
func knownOfKVM(ctx context.Context) (problem string, err error) {
	c, err := cache.Open("")
	if err != nil {
		return "", err
	}
	host, err := vm.NewHost(ctx, c, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	defer host.Close()
	_, problem, err = host.KnownAccel(ctx, "auto")
	return problem, err
}

// tryKVM boots a cached kernel with KVM. It returns why the kernel did not reach user
// space, or "".
func tryKVM(ctx context.Context) (problem string, err error) {
	c, err := cache.Open("")
	if err != nil {
		return "", err
	}
	items, err := c.List()
	if err != nil {
		return "", err
	}
	none := errors.New("no kernel is in the cache; run faultline run first")
	if !slices.ContainsFunc(items, func(i cache.Item) bool { return i.Kind == "kernel" }) {
		return "", none
	}
	m, err := matrix.Default()
	if err != nil {
		return "", err
	}
	// The package lists may be old: the cached kernels come from them.
	k, err := source.Resolve(ctx, m.Kernels[0].Spec, kernels.Options{Cache: c, MaxAge: 100 * 365 * 24 * time.Hour})
	if err != nil {
		return "", none
	}
	defer k.Close()
	host, err := vm.NewHost(ctx, c, k.Arch)
	if err != nil {
		return "", err
	}
	defer host.Close()
	g, err := host.Boot(ctx, vm.Spec{Kernel: k, Accel: qemu.KVM})
	var t *vm.GuestError
	switch {
	case err == nil:
		g.Close()
		return "", nil
	case errors.As(err, &t) && t.Kind != vm.HostFailed:
		t.Hint = ""
		return t.Error(), nil
	}
	return "", err
}

// checkTools looks for programs of a package. optional names their users if not every
// run needs them.
func checkTools(pkg, optional string, programs ...string) finding {
	f := finding{what: pkg, optional: optional != "", install: pkg}
	var found, missing []string
	for _, p := range programs {
		path, err := execx.Find(p, pkg)
		if err != nil {
			missing = append(missing, p)
		}
		found = append(found, path)
	}
	f.found = strings.Join(found, ", ")
	if missing != nil {
		f.missing = fmt.Sprintf("no %s; Debian package %s", strings.Join(missing, ", "), pkg)
		if f.optional {
			f.missing += "; " + optional
		}
	}
	return f
}

// checkBuild looks for the tools that every kernel build needs. The build itself reports
// what a tree and its configuration need in addition.
func checkBuild(ctx context.Context) finding {
	f := finding{what: "kernel builds", optional: true,
		found: "make, gcc, objcopy, flex, bison, bc, perl, libc, libelf"}
	var missing *execx.MissingError
	switch err := build.Tools(ctx, ""); {
	case errors.As(err, &missing):
		f.install = missing.Package
		f.missing = fmt.Sprintf("no %s; Debian packages %s; tree: kernels need them", missing.Tool, missing.Package)
	case err != nil:
		f.missing = err.Error()
	}
	return f
}

func checkBusybox() finding {
	f := finding{what: "busybox", optional: true, install: "busybox-static"}
	path, err := findBusybox()
	if err != nil {
		f.missing = "Debian package busybox-static; faultline shell needs it"
	}
	f.found = path
	return f
}

func checkGo(ctx context.Context) finding {
	f := finding{what: "go", optional: true}
	out, err := execx.Ask(ctx, 30*time.Second, "go", "env", "GOVERSION")
	if err != nil {
		f.missing = fmt.Sprintf("Go %s or newer, from https://go.dev/dl; only building Faultline needs it",
			strings.TrimPrefix(runtime.Version(), "go"))
		return f
	}
	f.found = strings.TrimSpace(string(out))
	return f
}

func checkDisk() finding {
	f := finding{what: "disk space"}
	c, err := cache.Open("")
	if err != nil {
		f.missing = err.Error()
		return f
	}
	var st unix.Statfs_t
	if err := unix.Statfs(c.Dir(), &st); err != nil {
		f.missing = fmt.Sprintf("%s: %v", c.Dir(), err)
		return f
	}
	free := int64(st.Bavail) * st.Bsize
	text := fmt.Sprintf("%s free in %s", gib(free), filepath.Clean(c.Dir()))
	if free < needDisk {
		f.missing = fmt.Sprintf("%s, %s are needed; free some space, or set XDG_CACHE_HOME to another folder",
			text, gib(needDisk))
	}
	f.found = text
	return f
}

func checkMemory() finding {
	f := finding{what: "memory"}
	free, err := availableMemory()
	if err != nil {
		f.missing = err.Error()
		return f
	}
	f.found = gib(free) + " available"
	if free < needMemory {
		f.missing = fmt.Sprintf("%s available, %s are needed for one guest; stop other programs",
			gib(free), gib(needMemory))
	}
	return f
}

// availableMemory reads MemAvailable (proc_meminfo(5)).
func availableMemory() (int64, error) {
	file, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var kib int64
		if n, _ := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, errors.New("/proc/meminfo has no MemAvailable")
}

func gib(n int64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
