package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/term"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/framework/run/bisect"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/limitread"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/source"
)

type bisectCmd struct {
	Tree     string   `placeholder:"DIR" help:"${tree}"`
	Old      string   `placeholder:"REV" help:"Revision that shows the old results."`
	New      string   `placeholder:"REV" help:"Revision that shows the new results."`
	Kernels  string   `placeholder:"FILE|SOURCE" help:"Bisect these built kernels instead of a tree's commits."`
	Scenario []string `placeholder:"GLOB" complete:"scenario" sep:"none" help:"${scenario}"`
	Label    string   `placeholder:"FILTER" help:"${label}"`
	programsFlag
	buildFlags
	Skip   []string `placeholder:"REV|SPEC" sep:"none" help:"Skip this commit or kernel (repeatable)."`
	Accel  string   `enum:"auto,kvm,tcg" default:"auto" placeholder:"auto|kvm|tcg" help:"${accel}"`
	Out    string   `placeholder:"DIR" help:"${out}"`
	Jobs   int      `default:"0" placeholder:"N" help:"${jobs}"`
	Resume bool     `help:"Continue the bisection in --out (default: results/latest); repeat its flags."`
}

func (bisectCmd) Help() string {
	return `There are two forms:
  faultline bisect --tree DIR --old REV --new REV ...
  faultline bisect --kernels FILE|SOURCE ...

With --tree, bisect builds and boots both ends (--old and --new), and runs the scenarios on each
twice. For each scenario whose results differ between them, it finds the first commit that shows the
new result. git bisect runs in separate repositories; the checkout, its index and its refs are only
read. Commits that do not build, do not boot, or show neither result are skipped. At the end the
commit is checked: it is reverted on --new, which must then show the old result. If it cannot be
reverted, it is applied to --old.

The kernels are built as for the kernel spec tree:DIR@REV (docs/guides/trees.md). An infrastructure failure
stops the bisection; --resume continues it.

With --kernels, bisect takes kernels that are already built: a file with a kernel spec per line, the
oldest first, or a source that "faultline list kernels SOURCE" lists, such as
rpmrepo:URL/kernel-core-5.14*. The answer is the first kernel that shows the new result. Unavailable
kernels are skipped. There is no check at the end, because a commit cannot be reverted in a built
kernel.

For --program, see faultline run --help.

Examples:
  faultline bisect --tree ../linux --old v6.4 --new v6.5-rc1 \
      --scenario dax/ext4/shared-read
  faultline bisect --kernels builds.txt --scenario 'dax/ext4/*'

Exit codes:
  0    the commit was found for each scenario, and no check contradicts it
  1    a check contradicts the commit that was found
  2    invalid request, or the results of the two ends do not differ
  3    infrastructure failure, or a commit could not be found
  130  interrupted; continue with --resume`
}

func (c *bisectCmd) Run(ctx context.Context) error {
	if err := checkJobs(c.Jobs); err != nil {
		return err
	}
	programs, err := c.programs()
	if err != nil {
		return err
	}
	list, err := kernelList(ctx, c.Kernels)
	if err != nil {
		return err
	}
	// Check this first, because kernels take long to build.
	if _, err := qemu.Find(ctx, runtime.GOARCH); err != nil {
		return err
	}
	store, err := cache.Open("")
	if err != nil {
		return err
	}
	p := newProgress(os.Stderr, term.IsTerminal(int(os.Stderr.Fd())))
	defer p.stop()
	selection := run.Selection{Scenarios: c.Scenario, Label: c.Label, Programs: programs}
	lab, err := bisect.NewGuestLab(
		ctx,
		bisect.GuestLabOptions{Selection: selection, Accel: c.Accel, Jobs: c.Jobs, Cache: store, Log: p.Say},
	)
	if err != nil {
		return err
	}
	defer lab.Close()
	host, err := lab.Host(ctx)
	if err != nil {
		return err
	}
	installation, err := results.OpenInstallation(store.Dir())
	if err != nil {
		return err
	}
	record, folder, err := bisect.Do(ctx, bisect.Options{
		Tree:         c.Tree,
		Old:          c.Old,
		New:          c.New,
		Kernels:      list,
		Settings:     c.settings(),
		Picked:       lab.Picked,
		Skip:         c.Skip,
		Accel:        c.Accel,
		Out:          c.Out,
		Resume:       c.Resume,
		Tool:         results.Tool{Version: versionText()},
		Host:         host,
		Installation: installation,
		Command:      os.Args,
		Log:          p.Say,
	}, lab)
	p.stop()
	if err != nil {
		if folder != nil && ctx.Err() != nil {
			fmt.Fprintln(os.Stderr, "faultline: interrupted; run the same command with --resume to continue")
		}
		return err
	}
	fmt.Println()
	if err := record.Write(os.Stdout); err != nil {
		return err
	}
	where := folder.Dir()
	if c.Out == "" {
		where = results.Latest
	}
	log := "; git's log for git bisect replay"
	if len(list) > 0 {
		log = ""
	}
	fmt.Printf("Results: %s (%s, report.html%s)\n", where, bisect.File, log)
	fmt.Fprintf(os.Stderr, "took %s\n", p.took())
	if code := record.ExitCode(); code != 0 {
		return exitError(code)
	}
	return nil
}

// mostList bounds a file with a list of kernels, in bytes.
const mostList = 1 << 20

// kernelList returns the specs of a file, or of the kernels of a place.
func kernelList(ctx context.Context, from string) (specs []string, err error) {
	if from == "" {
		return nil, nil
	}
	data, err := limitread.ReadFile(from, mostList)
	if errors.Is(err, fs.ErrNotExist) && strings.Contains(from, ":") {
		offers, err := source.All().Offers(ctx, from, kernels.Options{Log: progress})
		for _, o := range offers {
			specs = append(specs, o.Spec)
		}
		if err == nil && len(specs) == 0 {
			err = errkind.Requestf("--kernels %s: no kernels there; give another place or pattern", from)
		}
		return specs, err
	}
	if err != nil {
		return nil, errkind.Requestf(
			"--kernels: %w; give a file with a kernel spec per line, or a place such as rpmrepo:URL",
			err,
		)
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			specs = append(specs, line)
		}
	}
	if len(specs) == 0 {
		err = errkind.Requestf("--kernels %s: the file has no kernel; write a spec per line, the oldest first", from)
	}
	return specs, err
}

// buildFlags are the flags for building the kernels of a tree.
type buildFlags struct {
	Config string `placeholder:"FILE" help:"Build with this complete .config, not tinyconfig; what guests need is added."`
	CC     string `name:"cc" placeholder:"COMPILER" help:"Build with this compiler, such as gcc-11."`
}

// settings returns the parameters for the kernel spec. It makes relative paths absolute.
func (c buildFlags) settings() []string {
	var out []string
	if c.Config != "" {
		file := c.Config
		if abs, err := filepath.Abs(file); err == nil {
			file = abs
		}
		out = append(out, "config="+file)
	}
	if c.CC != "" {
		out = append(out, "cc="+c.CC)
	}
	return out
}
