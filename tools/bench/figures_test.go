package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

func TestSummarize(t *testing.T) {
	f := summarize("ms", []float64{5, 1, 4, 2})
	if f.N != 4 || f.Min != 1 || f.Max != 5 || f.Median != 3 || f.P95 != 5 {
		t.Errorf("got %+v, want N 4, from 1 to 5, median 3, P95 5", f)
	}
}

func TestRatios(t *testing.T) {
	f := Figures{}
	f.ratios() // without figures
	for name, v := range map[string]float64{"clone_monitor": 40, "clone_first_answer": 60, "scenario/a": 200, "run_one_new": 12, "run_default_warm": 20, "boot": 1} {
		f[name] = summarize("", []float64{v})
	}
	f.ratios()
	for name, want := range map[string]float64{"ratio/clone_first_answer": 1.5, "ratio/scenario/a": 5, "ratio/run_one_new": 1.2} {
		if got := f[name].Median; got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if _, ok := f["ratio/boot"]; ok {
		t.Error("an unexpected ratio")
	}
}

// Changes are distinguished from noise, also with figures that were read from a file.
func TestCompare(t *testing.T) {
	then := Figures{"faster": summarize("ms", []float64{10, 11, 12, 10, 11, 12}), "same": summarize("ms", []float64{10, 14, 9, 13, 11, 12}), "gone": summarize("ms", []float64{1})}
	path := filepath.Join(t.TempDir(), "bench.json")
	if err := then.write(path); err != nil {
		t.Fatal(err)
	}
	read, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	now := Figures{"faster": summarize("ms", []float64{5, 6, 5, 6, 5, 6}), "same": summarize("ms", []float64{11, 13, 10, 12, 9, 15}), "new": summarize("ms", []float64{1})}
	var out bytes.Buffer
	now.compare(&out, read)
	for _, want := range []string{"faster", "-50.0%", "same", "noise"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "new") || strings.Contains(out.String(), "gone") {
		t.Errorf("a figure of one file only was compared:\n%s", &out)
	}
}
