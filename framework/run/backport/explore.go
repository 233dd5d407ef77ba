package backport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/analysis/backport"
	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/run/explore"
	"github.com/faultline/faultline/kernels/matrix"
)

// exploredDir is the folder of the exploration, within that of the run.
const exploredDir = "explored"

// seed selects the programs: a backport that is checked again gets the same ones.
const seed = 1

// explore runs generated programs on base and patched, and those with a difference that the
// change does not predict on the reference.
func (o Options) explore(ctx context.Context, r *Result) (e backport.Explored, err error) {
	var base []matrix.Entry
	for _, k := range o.Options.Kernels {
		if k.Name != Reference {
			base = append(base, k)
		}
	}
	lab, err := o.lab(ctx, base)
	if err != nil {
		return e, err
	}
	defer lab.Close()
	out := r.Folder.Path(exploredDir)
	_, err = os.Stat(filepath.Join(out, explore.JournalFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return e, err
	}
	resume := err == nil
	opt := explore.Options{For: o.Explore, Out: out, Resume: resume, Log: o.Progress.Say, Doing: o.Progress.Doing}
	if err := lab.Describe(ctx, &opt); err != nil {
		return e, err
	}
	opt.Tool, opt.Seed, opt.Header.Known = o.Tool.Version, seed, true
	for i := range opt.Kernels { // no release says what a patched kernel should have
		opt.Kernels[i].Kernel = judge.Kernel{Name: opt.Kernels[i].Name}
	}
	accepted := r.Verdict.Appeared
	if o.Change != "" {
		accepted = []string{o.Change}
	}
	opt.Known = slices.DeleteFunc(change.All(), func(c change.Change) bool { return !slices.Contains(accepted, c.ID) })
	seen, err := explore.Do(ctx, lab, opt)
	if err != nil {
		return e, err
	}
	if seen.Interrupted {
		return e, context.Cause(ctx)
	}
	e.Programs = seen.Same + seen.Differ
	for _, n := range seen.Changes {
		e.Predicted = max(e.Predicted, n)
	}
	upstream, err := o.upstream(ctx, opt, seen.Findings)
	if err != nil {
		return e, err
	}
	for i, f := range seen.Findings {
		if upstream[i] {
			e.Upstream = append(e.Upstream, f.Program)
			continue
		}
		e.Moved = append(e.Moved, backport.Moved{
			Scenario: f.Program, A: f.Cells[0].Headline(), B: f.Cells[1].Headline(),
			Fields: judge.Differ(f.Cells[0], f.Cells[1]), Unexplained: true,
		})
	}
	return e, nil
}

// lab returns a lab of kernels that the run has observed.
func (o Options) lab(ctx context.Context, of []matrix.Entry) (*explore.GuestLab, error) {
	return explore.NewGuestLab(ctx, explore.GuestLabOptions{
		Kernels: of, Accel: o.Accel, Jobs: o.Jobs, Cache: o.Cache, Log: o.Progress.Say,
	})
}

// upstream reports which findings the reference shows, too.
func (o Options) upstream(ctx context.Context, opt explore.Options, all []explore.Finding) ([]bool, error) {
	if o.Reference == "" || len(all) == 0 {
		return make([]bool, len(all)), nil
	}
	var reference []matrix.Entry
	for _, k := range o.Options.Kernels {
		if k.Name == Reference {
			reference = append(reference, k)
		}
	}
	lab, err := o.lab(ctx, reference)
	if err != nil {
		return nil, err
	}
	defer lab.Close()
	opt.Kernels = append(slices.Clone(opt.Kernels), explore.Kernel{
		Kernel: judge.Kernel{Name: lab.Kernels[0].Name}, Digest: lab.Kernels[0].Digest,
	})
	return explore.Shown(ctx, lab, opt, all)
}

// explored writes what generated programs showed.
func (m *mailText) explored() {
	e := m.v.Explored
	if e == nil {
		return
	}
	m.line("")
	m.line("Generated programs:")
	text := fmt.Sprintf("%s on base and patched. ", english.Plural(e.Programs, "program ran", "programs ran"))
	if e.Predicted > 0 {
		text += fmt.Sprintf("In %d the change predicts a difference. ", e.Predicted)
	}
	if n := len(e.Upstream); n > 0 {
		text += fmt.Sprintf("The reference shows %s that it does not predict: %s. ",
			english.Plural(n, "difference", ""), strings.Join(e.Upstream, ", "))
	}
	if len(e.Moved) == 0 {
		text += "No other difference was found."
	}
	m.fill("  ", "  ", text)
	m.moved(fmt.Sprintf("Also changed in generated programs (%s):", english.Plural(len(e.Moved), "difference", "")),
		e.Moved, [2]string{Base, Patched})
}
