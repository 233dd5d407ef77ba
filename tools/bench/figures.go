package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/perf/benchmath"
)

// Figure is one entry of bench.json.
type Figure struct {
	Unit   string  `json:"unit"`
	N      int     `json:"n"`
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
	Max    float64 `json:"max"`
	// Samples are all samples, for a comparison with another run; a ratio has none.
	Samples []float64 `json:"samples,omitempty"`
}

// Figures is the content of bench.json, by name.
type Figures map[string]Figure

func summarize(unit string, samples []float64) Figure {
	s := slices.Sorted(slices.Values(samples))
	n := len(s)
	return Figure{
		Unit:    unit,
		N:       n,
		Min:     s[0],
		Median:  (s[(n-1)/2] + s[n/2]) / 2,
		P95:     s[min(n-1, n*95/100)],
		Max:     s[n-1],
		Samples: samples,
	}
}

// load reads a bench.json.
func load(path string) (Figures, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := Figures{}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func (f Figures) write(path string) error {
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// clock is the figure that ratios are relative to. It is from the same run, so that the
// ratios hold on slower machines, and on a machine whose speed varies.
const clock = "clone_monitor"

// ratios adds the ratios of medians of the same file.
func (f Figures) ratios() {
	put := func(name, of string, per float64) {
		if x, ok := f[of]; ok && per > 0 {
			r := x.Median / per
			f["ratio/"+name] = Figure{Unit: "x", N: 1, Min: r, Median: r, P95: r, Max: r}
		}
	}
	for name := range f {
		if strings.HasPrefix(name, "scenario/") || name == "clone_first_answer" {
			put(name, name, f[clock].Median)
		}
	}
	put("run_one_new", "run_one_new", f["run_default_warm"].Median/2) // the run has two kernels
}

// compare prints for each figure whether it changed since an earlier bench.json, by the
// Mann-Whitney U test, which assumes no distribution of the samples.
func (f Figures) compare(w io.Writer, earlier Figures) {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		now, then := f[name], earlier[name]
		if len(now.Samples) == 0 || len(then.Samples) == 0 || then.Median == 0 {
			continue
		}
		c := benchmath.AssumeNothing.Compare(sample(then), sample(now))
		verdict := "noise"
		if c.P <= c.Alpha {
			verdict = fmt.Sprintf("%+.1f%%", 100*(now.Median/then.Median-1))
		}
		fmt.Fprintf(
			w,
			"%-44s %10.1f -> %10.1f %-6s %8s  p=%.3f n=%d+%d\n",
			name,
			then.Median,
			now.Median,
			now.Unit,
			verdict,
			c.P,
			c.N1,
			c.N2,
		)
		for _, warning := range c.Warnings {
			fmt.Fprintf(w, "%-44s %v\n", "", warning)
		}
	}
}

func sample(f Figure) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(f.Samples), &benchmath.DefaultThresholds)
}
