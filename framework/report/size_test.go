package report_test

import (
	"flag"
	"io"
	"runtime"
	"slices"
	"testing"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report"
	"github.com/faultline/faultline/framework/report/table"
)

// all returns the formats, and the table.
func all() []report.Format {
	return append(report.Formats(), report.Format{Name: "table", Write: func(w io.Writer, run results.Run, _ *results.Folder) error {
		return table.Write(w, run, table.Options{Width: 120})
	}})
}

// allocated returns how many bytes a format allocates to write a run.
func allocated(t *testing.T, f report.Format, run results.Run) uint64 {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := f.Write(io.Discard, run, nil); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func thrice(t *testing.T, f report.Format, run results.Run) (bytes []uint64) {
	t.Helper()
	for range 3 {
		bytes = append(bytes, allocated(t, f, run))
	}
	return bytes
}

// A format's allocations grow linearly with the cells: four times the kernels or the
// scenarios are about four times the bytes, up to seven with buffers that double.
// Quadratic growth would be sixteen times.
func TestMemoryGrowsWithTheCells(t *testing.T) {
	small, wide, long := demo.Large(demo.Run(), 40, 4), demo.Large(demo.Run(), 40, 16), demo.Large(demo.Run(), 160, 4)
	for _, f := range all() {
		allocated(t, f, small) // one-time allocations
		// A garbage collection may drop pooled buffers at any time.
		base := slices.Max(thrice(t, f, small))
		for name, run := range map[string]results.Run{"four times the kernels": wide, "four times the scenarios": long} {
			if grown := slices.Min(thrice(t, f, run)); grown > 7*base {
				t.Errorf("%s, %s: got %d kB, want at most 7 times the %d kB of a quarter of it", f.Name, name, grown>>10, base>>10)
			}
		}
	}
}

// recorded is the folder of a run for the benchmark, instead of the demo.
var recorded = flag.String("recorded", "", "folder of a run whose cells BenchmarkFormats multiplies")

// 130 scenarios on 12 kernels, in all formats.
func BenchmarkFormats(b *testing.B) {
	of := demo.Run()
	if *recorded != "" {
		folder, err := results.Open(*recorded)
		if err == nil {
			of, err = folder.LoadRun(judge.Run)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	run := demo.Large(of, 130, 12)
	for _, f := range all() {
		b.Run(f.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f.Write(io.Discard, run, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
