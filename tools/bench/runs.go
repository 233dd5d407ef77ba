package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
)

// observed is a run of bin/faultline.
type observed struct {
	*results.Run
	took float64 // seconds
	cpu  float64 // CPU time of all its processes, in seconds
}

// faultline runs bin/faultline.
func (b *bench) faultline(args ...string) (o observed, err error) {
	dir, err := os.MkdirTemp("", "faultline-bench-")
	if err != nil {
		return o, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(b.ctx, "bin/faultline", append([]string{"run", "--accel", "tcg", "--out", dir}, args...)...)
	begun := time.Now()
	out, err := cmd.CombinedOutput()
	o.took = time.Since(begun).Seconds()
	folder, ferr := results.Open(dir)
	if ferr != nil {
		return o, fmt.Errorf("%w: %v: %s", ferr, err, out)
	}
	record, ferr := folder.LoadRun(judge.Run)
	if ferr != nil {
		return o, fmt.Errorf("%w: %v: %s", ferr, err, out)
	}
	o.Run, o.cpu = &record, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	return o, nil
}

// forget removes the cache entries of a kind that were used since a time.
func (b *bench) forget(kind string, since time.Time) error {
	items, err := b.cache.List()
	if err != nil {
		return err
	}
	for _, it := range items {
		if it.Kind == kind && !it.Used.Before(since) {
			if err := b.cache.Remove(it); err != nil {
				return err
			}
		}
	}
	return nil
}

// scenarios measures some scenarios, one guest at a time: the duration of each, and the
// number of blocks that TCG translates for it.
func (b *bench) scenarios() error {
	args := []string{fresh, "--jobs", "1", "--repeat", fmt.Sprint(b.n)}
	for _, id := range []string{"dax/ext4/shared-read", "dax/xfs/shared-read", "mce/ext4/srar-shared", "mce/anon/cow"} {
		args = append(args, "--scenario", id)
	}
	o, err := b.faultline(args...)
	if err != nil {
		return err
	}
	took := map[string][]float64{}
	for _, c := range o.Cells {
		took[c.Scenario] = append(took[c.Scenario], c.Millis)
	}
	for _, id := range slices.Sorted(maps.Keys(took)) {
		if err := b.put("scenario/"+id, "ms", took[id]); err != nil {
			return err
		}
	}
	return b.blocks(o.Run)
}

// blocks stores the number of blocks that TCG translated for each scenario of a run.
func (b *bench) blocks(r *results.Run) error {
	blocks := map[string][]float64{}
	for _, c := range r.Cells {
		if c.Blocks > 0 {
			blocks[c.Scenario] = append(blocks[c.Scenario], float64(c.Blocks))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(blocks)) {
		if err := b.put("blocks/"+id, "", blocks[id]); err != nil {
			return err
		}
	}
	return nil
}

// runs measures whole default runs: cold, with kernels fetched but no template; warm;
// again, with every cell cached; and one with four kernels, one of them new.
func (b *bench) runs() error {
	times := max(b.n/5, 2)
	var cold, warm, again, perCell, oneNew []float64
	for range times {
		if err := b.forget("templates", time.Time{}); err != nil {
			return err
		}
		o, err := b.faultline(fresh)
		if err != nil {
			return err
		}
		cold = append(cold, o.took)
	}
	for range times {
		o, err := b.faultline(fresh)
		if err != nil {
			return err
		}
		warm, perCell = append(warm, o.took), append(perCell, o.cpu/float64(len(o.Cells)))
	}
	for range times {
		o, err := b.faultline()
		if err != nil {
			return err
		}
		again = append(again, o.took)
	}
	if _, err := b.faultline("--matrix", "wide"); err != nil { // caches all cells
		return err
	}
	// Build its templates, which the previous runs did not need.
	if _, err := b.faultline(
		fresh,
		"--kernel",
		newest,
		"--scenario",
		"dax/ext4/shared-read",
		"--scenario",
		"ram/hugetlb/gigantic",
	); err != nil {
		return err
	}
	for range times {
		begun := time.Now()
		if _, err := b.faultline("--kernel", newest); err != nil { // uses its cells, so that forget finds them
			return err
		}
		if err := b.forget("cells", begun); err != nil {
			return err
		}
		o, err := b.faultline("--matrix", "wide")
		if err != nil {
			return err
		}
		oneNew = append(oneNew, o.took)
	}
	for _, f := range []struct {
		name    string
		samples []float64
	}{
		{"run_default_cold", cold}, {"run_default_warm", warm}, {"cpu_per_cell", perCell},
		{"run_default_again", again}, {"run_one_new", oneNew},
	} {
		if err := b.put(f.name, "s", f.samples); err != nil {
			return err
		}
	}
	return nil
}

// fresh makes a run observe all cells, so that their time is measured.
const fresh = "--fresh-cells"

// newest is the kernel of the wide matrix that is measured as a new one.
const newest = "apt:trixie-backports"

// growth measures a warm run of 16 scenarios on one, two and four kernels.
func (b *bench) growth() error {
	specs := []string{"apt:bookworm", "apt:bookworm/6.12", "apt:bullseye", "apt:trixie-backports"}
	for _, n := range []int{1, 2, 4} {
		args := []string{fresh, "--scenario", "dax/ext4/p*"}
		for _, s := range specs[:n] {
			args = append(args, "--kernel", s)
		}
		var samples []float64
		for i := range max(b.n/5, 2) + 1 {
			o, err := b.faultline(args...)
			if err != nil {
				return err
			}
			if i > 0 { // the first may have to boot
				samples = append(samples, o.took)
			}
		}
		if err := b.put(fmt.Sprintf("run_kernels_%d", n), "s", samples); err != nil {
			return err
		}
	}
	return nil
}
