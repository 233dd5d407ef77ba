// Package baseline stores the results of kernels, for comparison with later runs: a file
// for a repository, with one line per cell, small enough to review. It contains the
// outcome of every step and every witness, but not the expectations, the raw kernel log,
// or the raw bytes of payloads.
package baseline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/sanitize"
)

// version is the version of the file format.
const version = 1

// Head begins every file of this version.
const Head = `{"faultline_baseline": 1,`

type (
	file struct {
		Version int `json:"faultline_baseline"`
		// QEMU is the version that ran the guests, Processor the CPU of those under KVM.
		QEMU      string `json:"qemu,omitempty"`
		Processor string `json:"processor,omitempty"`
		// Said are the lines of kernel logs that many cells share, by their marks.
		Said    map[string]string `json:"said"`
		Kernels json.RawMessage   `json:"kernels"`
	}
	kernel struct {
		Name    string `json:"name"`
		Spec    string `json:"spec,omitempty"`
		Version string `json:"version,omitempty"`
		Release string `json:"release,omitempty"`
		Arch    string `json:"arch"`
		Accel   string `json:"accel"`
		Cells   cells  `json:"cells"`
	}
	cell struct {
		// Accel is set if it is not the kernel's.
		Accel string `json:"accel,omitempty"`
		// Did is a digest of the actors and actions: equal if two cells did the same.
		Did string `json:"did,omitempty"`
		// Saw are the outcomes of steps, by their number from 1, except for plain success.
		Saw map[string]outcome `json:"saw,omitempty"`
		// Witnesses are those with other values than in quiet; null is one of quiet that was
		// not recorded.
		Witnesses map[string]*string `json:"witnesses,omitempty"`
		Skipped   string             `json:"not_doable,omitempty"`
	}
)

// quiet are the default values of the witnesses that every cell has.
var quiet = map[string]string{
	observe.WitnessLog: observe.NothingAboutPoison, observe.WitnessSplats: observe.NoSplats, observe.WitnessTaint: "none",
}

// Encode returns the baseline of a run. Cells with infrastructure failures are left out
// and counted in left.
func Encode(run results.Run) (text []byte, left int, err error) {
	byKernel := map[string][]observe.Cell{}
	for _, c := range run.Cells {
		byKernel[c.Kernel] = append(byKernel[c.Kernel], c)
	}
	var b bytes.Buffer
	b.WriteString(Head)
	host := map[string]string{"qemu": run.Host.QEMU}
	if run.WithKVM() {
		host["processor"] = run.Host.CPU
	}
	for _, key := range slices.Sorted(maps.Keys(host)) {
		value, err := line(host[key])
		if err != nil {
			return nil, 0, err
		}
		if host[key] != "" {
			fmt.Fprintf(&b, " %q: %s,", key, value)
		}
	}
	b.WriteString(` "said": {`)
	said := shared(run.Cells)
	sep := "\n"
	for _, l := range slices.Sorted(maps.Keys(said)) {
		row, err := line(l)
		if err != nil {
			return nil, 0, err
		}
		fmt.Fprintf(&b, "%s%q: %s", sep, said[l], row)
		sep = ",\n"
	}
	b.WriteString("\n}, \"kernels\": [")
	for i, k := range run.Kernels {
		head, err := line(
			kernel{Name: k.Name, Spec: k.Spec, Version: k.Version, Release: k.Release, Arch: k.Arch, Accel: k.Accel},
		)
		if err != nil {
			return nil, 0, err
		}
		head, _ = bytes.CutSuffix(head, []byte("null}")) // its cells follow
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n%s{", head)
		cells, scenarios := byKernel[k.Name], map[string]bool{}
		for _, c := range cells {
			scenarios[c.Scenario] = true
		}
		sep := "\n"
		for _, id := range slices.Sorted(maps.Keys(scenarios)) {
			c, _ := observe.Pick(cells, k.Name, id)
			if c.Verdict == observe.Infra {
				left++
				continue
			}
			name, err := line(id)
			if err != nil {
				return nil, 0, err
			}
			row, err := line(newCell(c, k.Accel, said))
			if err != nil {
				return nil, 0, err
			}
			fmt.Fprintf(&b, "%s%s: %s", sep, name, row)
			sep = ",\n"
		}
		b.WriteString("\n}}")
	}
	b.WriteString("\n]}\n")
	return b.Bytes(), left, nil
}

// line returns v as JSON on one line.
func line(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return sanitize.JSON(bytes.TrimRight(b.Bytes(), "\n")), err
}

func newCell(c observe.Cell, accel string, said map[string]string) cell {
	if c.Verdict == observe.Skipped {
		return cell{Skipped: c.Message}
	}
	out := cell{Did: did(c.Steps), Saw: map[string]outcome{}, Witnesses: map[string]*string{}}
	if c.Accel != accel {
		out.Accel = c.Accel
	}
	for i, s := range c.Steps {
		if o := newOutcome(s); len(o) > 0 {
			out.Saw[fmt.Sprint(i+1)] = o
		}
	}
	for name, value := range c.Witnesses {
		if quiet[name] == value && value != "" {
			continue
		}
		if name == observe.WitnessLog {
			value = replaced(value, said)
		}
		out.Witnesses[name] = &value
	}
	for name := range quiet {
		if _, ok := c.Witnesses[name]; !ok {
			out.Witnesses[name] = nil
		}
	}
	return out
}

// did returns a digest of the actors and actions of a scenario.
func did(steps []observe.Step) string {
	h := sha256.New()
	for _, s := range steps {
		fmt.Fprintf(h, "%q %q\n", s.Actor, s.Action)
	}
	return fmt.Sprintf("%d-%s", len(steps), hex.EncodeToString(h.Sum(nil)[:4]))
}

// Baseline is a decoded baseline: a run whose cells have no actions, expectations or raw
// bytes.
type Baseline struct {
	Run results.Run
	did map[place]string
}

// place identifies a cell.
type place struct{ kernel, scenario string }

// Decode reads a baseline. Its errors are errors of the request.
func Decode(text []byte) (*Baseline, error) {
	out := &Baseline{did: map[place]string{}}
	run := &out.Run
	var f file
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, errkind.Requestf("not a baseline: %v", err)
	}
	if f.Version == 0 {
		return nil, errkind.Requestf("not a baseline: it has no version")
	}
	if f.Version != version {
		return nil, errkind.Requestf("baseline version %d is not supported, this Faultline reads version %d; save it again",
			f.Version, version)
	}
	all, err := readKernels(f.Kernels)
	if err != nil {
		return nil, errkind.Requestf("not a baseline: %v", err)
	}
	run.Host = results.Host{QEMU: f.QEMU, CPU: f.Processor}
	var problems []error
	seen := map[string]bool{}
	steps, said := 0, 0
	for _, k := range all {
		if len(problems) > mostProblems || len(run.Cells) > mostCells {
			break
		}
		if seen[k.Name] {
			problems = append(problems, fmt.Errorf("duplicate kernel %q", k.Name))
		}
		seen[k.Name] = true
		run.Kernels = append(
			run.Kernels,
			results.Kernel{Name: k.Name, Spec: k.Spec, Version: k.Version, Release: k.Release, Arch: k.Arch, Accel: k.Accel},
		)
		for _, id := range slices.Sorted(maps.Keys(k.Cells)) {
			c, err := k.Cells[id].cell(k.Accel, f.Said)
			if err != nil {
				problems = append(problems, fmt.Errorf("%s on %s: %w", id, k.Name, err))
			}
			if steps += len(c.Steps); steps > mostStepsInAll {
				return nil, errkind.Requestf("not a baseline: its cells have more than %d steps", mostStepsInAll)
			}
			if said += len(c.Witnesses[observe.WitnessLog]); said > mostSaid {
				return nil, errkind.Requestf("not a baseline: its cells have more than %d bytes of kernel logs", mostSaid)
			}
			c.Scenario, c.Kernel = id, k.Name
			run.Cells = append(run.Cells, c)
			out.did[place{k.Name, id}] = k.Cells[id].Did
		}
	}
	if len(run.Cells) > mostCells {
		return nil, errkind.Requestf("not a baseline: it has more than %d cells", mostCells)
	}
	if len(problems) > 0 {
		return nil, errkind.Requestf("not a baseline: %v", errors.Join(problems...))
	}
	return out, nil
}

func (c cell) cell(accel string, said map[string]string) (observe.Cell, error) {
	if c.Skipped != "" {
		return observe.Cell{Verdict: observe.Skipped, Message: c.Skipped}, nil
	}
	out := observe.Cell{Verdict: observe.Expected, Accel: accel, Witnesses: maps.Clone(quiet)}
	if c.Accel != "" {
		out.Accel = c.Accel
	}
	var n int
	if _, err := fmt.Sscanf(c.Did, "%d-", &n); err != nil || n < 0 || n > mostSteps {
		return out, fmt.Errorf("did %q: want a number of steps and a digest, as in 3-0123abcd", c.Did)
	}
	out.Steps = make([]observe.Step, n)
	for at, o := range c.Saw {
		var i int
		if _, err := fmt.Sscanf(at, "%d", &i); err != nil || fmt.Sprint(i) != at || i < 1 || i > n {
			return out, fmt.Errorf("saw %q: there are %d steps", at, n)
		}
		step, err := o.step()
		if err != nil {
			return out, fmt.Errorf("step %d: %w", i, err)
		}
		out.Steps[i-1] = step
	}
	for name, value := range c.Witnesses {
		if value == nil {
			delete(out.Witnesses, name)
		} else {
			out.Witnesses[name] = *value
			if name != observe.WitnessLog {
				continue
			}
			log, ok := restored(*value, said)
			if !ok {
				return out, fmt.Errorf("the kernel log has more than %d bytes", mostLog)
			}
			out.Witnesses[name] = log
		}
	}
	return out, nil
}

// Bounds of a file, ten times the size of a large baseline.
const (
	mostSteps      = 10_000
	mostStepsInAll = 1_000_000
	mostKernels    = 1_000
	mostCells      = 200_000
	mostLog        = 16 << 20  // bytes of a cell's log, including shared lines
	mostSaid       = 512 << 20 // bytes of all cells' logs
	mostProblems   = 5         // problems that are reported
)

// MaxBytes bounds the file of a baseline. With 5,000 cells it has 3 MiB.
const MaxBytes = 64 << 20
