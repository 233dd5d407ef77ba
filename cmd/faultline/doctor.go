package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/analysis/needs"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/distro"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/internal/sanitize"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/build"
	"github.com/faultline/faultline/kernels/source"
	"github.com/faultline/faultline/kernels/source/apt"
)

type doctorCmd struct {
	KVM    bool     `name:"kvm" help:"Also boot a cached kernel under KVM."`
	Kernel []string `placeholder:"SPEC" sep:"none" help:"Check this kernel's configuration (repeatable)."`
}

func (doctorCmd) Help() string {
	return `Print one line per prerequisite: what was found, or what is missing and how to fix it. A prerequisite
is optional if only some subcommands need it, or if it only makes Faultline faster. If packages are
missing, the command that installs them follows.

With --kernel, print instead which scenarios the configuration of a kernel excludes, and which
configuration symbols would enable them. This boots nothing, but downloads or
builds the kernel if it is not cached.

` + specsHelp + `
Examples:
  faultline doctor --kvm
  faultline doctor --kernel apt:bookworm/linux-image-cloud-amd64

Exit codes:
  0    nothing required is missing
  2    something required is missing; with --kernel: no guest can
       boot with the configuration of one of the kernels
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
	all := []finding{checkQEMU(ctx)}
	noTCG, lost, err := checkTCG(ctx)
	if err != nil {
		return err
	}
	if noTCG.missing != "" {
		all = append(all, noTCG)
	}
	all = append(all, checkKVM(ctx, c.KVM))
	all = append(
		all,
		checkTools("e2fsprogs", "", "mkfs.ext4"),
		checkTools("xfsprogs", "", "mkfs.xfs"),
		checkTools("kmod", "", "depmod"),
		checkArchive(ctx),
		checkTools("git", "tree: kernels, bisect and backport need it", "git"),
		checkBuild(ctx),
		checkTools("ccache", "compiles tree: kernels again in less time", "ccache"),
		checkTools("gdb", "repro --gdb needs it", "gdb"),
		checkBusybox(),
		checkGo(ctx),
		checkDisk(),
		checkMemory(),
		finding{what: "processors", found: fmt.Sprintf("%d, each runs a guest", runtime.NumCPU())},
	)
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
		fmt.Printf("\nTo install what is missing:\n  %s\n", distro.Here().Install(packages...))
	}
	if len(lost) > 0 {
		fmt.Printf("\nSkipped with this QEMU, which has no TCG:\n  %s\n", strings.Join(lost, "\n  "))
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
		f.missing = fmt.Sprintf("no %s; package %s", strings.Join(missing, ", "), distro.Here().Package(pkg))
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
		f.missing = fmt.Sprintf("no %s; tree: kernels need them", missing.Tool)
	case err != nil:
		f.missing = err.Error()
	}
	return f
}

// checkArchive looks for what apt: kernels need: sources, and apt or nothing.
func checkArchive(ctx context.Context) finding {
	const users = "apt: kernels and the default matrix need it"
	f := finding{what: "apt", optional: true, found: "not installed; its sources are read by HTTP"}
	if apt.Installed() {
		f = checkTools("apt", users, "apt-get", "apt-config", "apt-cache", "/usr/lib/apt/apt-helper")
	}
	if err := apt.Check(ctx); err != nil && f.missing == "" {
		f.missing = err.Error() + "; " + users
	}
	return f
}

func checkBusybox() finding {
	f := finding{what: "busybox", optional: true, install: "busybox-static"}
	path, err := findBusybox()
	if err != nil {
		f.missing = "no static busybox; package " + distro.Here().Package("busybox-static") + "; faultline shell needs it"
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
