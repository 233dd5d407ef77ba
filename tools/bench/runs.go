package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sort"
	"time"

	"github.com/faultline/faultline/framework/results"
)

// fresh has a run observe what it is measured by.
const fresh = "--fresh-cells"

// faultline runs bin/faultline and returns the seconds that it took and its record.
func (b *bench) faultline(env []string, args ...string) (float64, *results.Run, error) {
	dir, err := os.MkdirTemp("", "faultline-bench-")
	if err != nil {
		return 0, nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(b.ctx, "bin/faultline", append([]string{"run", "--accel", "tcg", "--out", dir}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	begun := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(begun).Seconds()
	folder, ferr := results.Open(dir)
	if ferr != nil {
		return 0, nil, fmt.Errorf("%w: %v: %s", ferr, err, out)
	}
	record, ferr := folder.LoadRun()
	if ferr != nil {
		return 0, nil, fmt.Errorf("%w: %v: %s", ferr, err, out)
	}
	return took, &record, nil
}

// runs measures whole default runs: cold, with kernels fetched but no template;
// warm; and each scenario in a clone, one at a time and as the run does it.
func (b *bench) runs() error {
	times := max(b.n/3, 3)
	var cold, warm []float64
	for range times {
		items, err := b.cache.List()
		if err != nil {
			return err
		}
		for _, it := range items {
			if it.Kind == "templates" {
				if err := b.cache.Remove(it); err != nil {
					return err
				}
			}
		}
		took, _, err := b.faultline(nil, fresh)
		if err != nil {
			return err
		}
		cold = append(cold, took)
	}
	if err := b.put("run_default_cold", "s", cold); err != nil {
		return err
	}
	var cells int
	for range times {
		took, record, err := b.faultline(nil, fresh)
		if err != nil {
			return err
		}
		warm = append(warm, took)
		cells = len(record.Cells)
	}
	if err := b.put("run_default_warm", "s", warm); err != nil {
		return err
	}
	var again []float64
	for range times { // all of it is known
		took, _, err := b.faultline(nil)
		if err != nil {
			return err
		}
		again = append(again, took)
	}
	if err := b.put("run_default_again", "s", again); err != nil {
		return err
	}
	fmt.Printf("  %d cells: the bound on a warm run is %.1f s on %d cores\n", cells, 1.5*float64(cells)*0.25/float64(runtime.NumCPU()), runtime.NumCPU())
	scenarios := map[string][]float64{}
	for range 2 { // a cell a kernel each
		_, record, err := b.faultline(nil, fresh, "--jobs", "1")
		if err != nil {
			return err
		}
		for _, c := range record.Cells {
			scenarios[c.Scenario] = append(scenarios[c.Scenario], c.Millis)
		}
	}
	var ids []string
	for id := range scenarios {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for _, id := range ids {
		if err := b.put("scenario/"+id, "ms", scenarios[id]); err != nil {
			return err
		}
	}
	return nil
}

// growth measures a warm run of some scenarios on one, two and four kernels.
func (b *bench) growth() error {
	specs := []string{"apt:bookworm", "apt:bookworm/6.12", "apt:bullseye", "apt:trixie-backports"}
	for _, n := range []int{1, 2, 4} {
		args := []string{fresh, "--scenario", "dax/ext4/*"}
		for _, s := range specs[:n] {
			args = append(args, "--kernel", s)
		}
		var samples []float64
		for i := range 4 {
			took, _, err := b.faultline(nil, args...)
			if err != nil {
				return err
			}
			if i > 0 { // the first may have to boot
				samples = append(samples, took)
			}
		}
		if err := b.put(fmt.Sprintf("run_kernels_%d", n), "s", samples); err != nil {
			return err
		}
	}
	return nil
}
