package run

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

// takeOver continues the run in the folder, with its cells and the boots of its kernels.
func (r *recorder) takeOver(rec results.Run) error {
	if err := sameRun(r.record, rec); err != nil {
		return err
	}
	if err := r.folder.CheckLinks(); err != nil {
		return err
	}
	for i, old := range r.record.Kernels {
		if old.Unavailable != "" && rec.Kernels[i].Name != old.Name { // its cells belong to no kernel now
			if err := os.RemoveAll(r.folder.Path(results.KernelDir(old.Name))); err != nil {
				return err
			}
		}
	}
	cells, skipped, err := r.folder.Cells()
	if err != nil {
		return err
	}
	for _, c := range cells {
		if (c.Attempt > 0) != (r.Repeat > 1) {
			return errkind.Requestf("resume: the run was started with a different --repeat; " +
				"give the same, or run without --resume")
		}
		if c.Verdict != observe.Infra { // infrastructure failures are tried again
			r.cells, r.observed = append(r.cells, c), append(r.observed, c)
		}
	}
	for _, s := range skipped {
		r.progress.say("not reused: %s", s)
	}
	rec.ID, rec.Started, rec.Merged = r.record.ID, r.record.Started, r.record.Merged
	for i := range rec.Kernels {
		old := r.record.Kernels[i]
		k := &rec.Kernels[i]
		k.BootMillis, k.Console, k.CommandFile = old.BootMillis, old.Console, old.CommandFile
		k.Splats, k.Taint = old.Splats, old.Taint
	}
	r.record = rec
	return nil
}

// sameRun refuses to mix cells of different kernels or scenarios in one run.
func sameRun(old, now results.Run) error {
	if old.Tool != now.Tool {
		return errkind.Requestf("resume: the run was started by faultline %s, this is %s; run without --resume",
			old.Tool.Version, now.Tool.Version)
	}
	if old.Shard != now.Shard {
		return errkind.Requestf("resume: the run was started with a different --shard; " +
			"give the same, or run without --resume")
	}
	if len(old.Kernels) != len(now.Kernels) || len(old.Scenarios) != len(now.Scenarios) {
		return errkind.Requestf("resume: the run was started with %d kernels and %d scenarios, this is %d and %d; "+
			"give the same flags, or run without --resume",
			len(old.Kernels), len(old.Scenarios), len(now.Kernels), len(now.Scenarios))
	}
	for i, k := range old.Kernels {
		n := now.Kernels[i]
		switch {
		case k.Unavailable != "" && k.Spec == n.Spec: // it may be available now
			continue
		case k.Unavailable == "" && n.Unavailable != "" && k.Spec == n.Spec:
			return fmt.Errorf("resume: %s was available when the run started, but is not now: %s; resume later",
				k.Name, n.Unavailable)
		}
		if n.Digest != k.Digest || n.Name != k.Name || n.Accel != k.Accel {
			return errkind.Requestf("resume: the run was started with %s (digest %.12s, %s), this is %s (%.12s, %s); "+
				"run without --resume",
				k.Name, k.Digest, k.Accel, n.Name, n.Digest, n.Accel)
		}
	}
	for i, k := range old.Kernels {
		if !maps.Equal(k.Claims, now.Kernels[i].Claims) {
			return errkind.Requestf("resume: the run was started with different claims (has:) for %s; "+
				"give the same, or run without --resume", k.Name)
		}
	}
	if !reflect.DeepEqual(old.Changes, now.Changes) {
		return errkind.Requestf("resume: the run was started with different --changes; " +
			"give the same, or run without --resume")
	}
	if unlike := old.Host.Unlike(now.Host, old.WithKVM() || now.WithKVM()); unlike != "" {
		return errkind.Requestf("resume: the run was started on another machine (%s); run without --resume", unlike)
	}
	if !maps.Equal(old.Suites, now.Suites) {
		return errkind.Requestf("resume: the run was started with other suites than those built here; run without --resume")
	}
	for i, s := range old.Scenarios {
		n := now.Scenarios[i]
		if n.ID != s.ID {
			return errkind.Requestf("resume: the run was started with scenario %s, this one has %s instead; give the same flags",
				s.ID, n.ID)
		}
		if s.Program != nil && n.Program != nil && s.Program.SHA256 != n.Program.SHA256 {
			return errkind.Requestf("resume: the run was started with another %s (SHA-256 %.12s, this is %.12s); "+
				"run without --resume",
				n.Program.Path, s.Program.SHA256, n.Program.SHA256)
		}
		if !alike(s, n) {
			return errkind.Requestf("resume: scenario %s has changed since the run was started "+
				"(its needs, changes or arguments); run without --resume", s.ID)
		}
	}
	return nil
}

// alike reports whether two scenarios are the same in a record.
func alike(a, b results.Scenario) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
