package docs_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faultline/faultline/framework/analysis/history"
	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/baseline"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

var sweepDir = flag.String("sweep", "",
	"with -update: write the page of kernels that were observed, and their baseline, from this merged run of a sweep")

const (
	seenFile     = "evidence/kernels-seen.md"
	seenData     = "testdata/kernels-seen.json"
	seenBaseline = "../baselines/archive.json"
)

// seen is what the page needs of a sweep.
type seen struct {
	Version string       `json:"version"` // of Faultline
	QEMU    string       `json:"qemu"`
	First   string       `json:"first"` // dates of the runs
	Last    string       `json:"last"`
	Rows    int          `json:"scenarios"`
	Kernels []seenKernel `json:"kernels"` // oldest first
	// Has has the kernels that show a change.
	Has map[string]string `json:"has"`
}

type seenKernel struct {
	Title   string                  `json:"title"`
	Spec    string                  `json:"spec"`
	Package string                  `json:"package"` // its version
	Cells   map[observe.Verdict]int `json:"cells"`
	Moves   []string                `json:"moves"` // what flipped since an older kernel
	Open    []string                `json:"open"`  // what no change explains
}

// TestKernelsSeen compares the page with the kernels of the sweep that is in the repository.
func TestKernelsSeen(t *testing.T) {
	if *update && *sweepDir != "" {
		if err := takeSweep(*sweepDir); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(seenData)
	if err != nil {
		t.Fatal(err)
	}
	var s seen
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(seenFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), tableBegins)
	was, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		t.Fatalf("%s does not have its marks %q and %q", seenFile, tableBegins, tableEnds)
	}
	want := "\n" + s.table() + "\n"
	if *update {
		if err := os.WriteFile(seenFile, []byte(before+tableBegins+want+tableEnds+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if was != want {
		t.Errorf("docs/%s differs from docs/%s: %s", seenFile, seenData, firstDifference(was, want))
	}

	// The baseline has the same kernels, with as many cells.
	kept, err := os.ReadFile(seenBaseline)
	if err != nil {
		t.Fatal(err)
	}
	b, err := baseline.Decode(kept)
	if err != nil {
		t.Fatal(err)
	}
	cells := map[string]int{}
	for _, c := range b.Run.Cells {
		k, _ := b.Run.Kernel(c.Kernel)
		cells[k.Spec]++
	}
	for _, k := range s.Kernels {
		n := 0
		for verdict, count := range k.Cells {
			if verdict != observe.Infra { // which a baseline leaves out
				n += count
			}
		}
		if cells[k.Spec] != n {
			t.Errorf("got %d cells of %s in the baseline, want %d", cells[k.Spec], k.Spec, n)
		}
		delete(cells, k.Spec)
	}
	if len(cells) > 0 {
		t.Errorf("got more kernels in the baseline: %v", slices.Sorted(maps.Keys(cells)))
	}
}

// takeSweep reads a merged run, and writes the page's data and the baseline.
func takeSweep(dir string) error {
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(root, dir)
	}
	folder, err := results.Open(dir)
	if err != nil {
		return err
	}
	r, err := folder.LoadRun(judge.Run)
	if err != nil {
		return err
	}
	h, err := history.Of([]history.Source{{Label: "sweep/all", Run: r}}, history.Options{})
	if err != nil {
		return err
	}
	s := seen{
		Version: r.Tool.Version, QEMU: r.Host.QEMU, Rows: len(r.Scenarios),
		First: r.Started.UTC().Format(time.DateOnly), Last: r.Finished.UTC().Format(time.DateOnly),
		Has: map[string]string{},
	}
	for _, c := range change.All() {
		s.Has[c.ID] = having(h, c.ID)
	}
	for i, k := range h.Kernels {
		column, _ := r.Kernel(k.Kernel)
		row := seenKernel{Title: k.Title, Spec: column.Spec, Cells: map[observe.Verdict]int{}}
		if len(column.Packages) > 0 {
			row.Package = column.Packages[0].Version
		}
		for _, c := range r.Cells {
			if c.Kernel == k.Kernel {
				row.Cells[c.Verdict]++
			}
		}
		for _, m := range h.Moves {
			if m.To != i {
				continue
			}
			what := m.Change
			switch {
			case m.Finding():
				row.Open = append(row.Open, m.Scenarios...)
				continue
			case m.Gone:
				what += " ends"
			}
			if n := len(m.Scenarios); n > 1 {
				what += fmt.Sprintf(" (%d)", n)
			}
			if m.From != i-1 {
				what += " since " + h.Kernels[m.From].Title
			}
			row.Moves = append(row.Moves, what)
		}
		s.Kernels = append(s.Kernels, row)
	}
	data, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	text, _, err := baseline.Encode(r)
	return errors.Join(err, os.WriteFile(seenData, append(data, '\n'), 0o644),
		os.MkdirAll(filepath.Dir(seenBaseline), 0o755), os.WriteFile(seenBaseline, text, 0o644))
}

// table returns the generated part of the page.
func (s seen) table() string {
	var b strings.Builder
	series := map[string]bool{}
	total, open := map[observe.Verdict]int{}, 0
	for _, k := range s.Kernels {
		version, _, _ := strings.Cut(k.Title, "-") // 7.3-rc7
		f := strings.SplitN(version, ".", 3)
		series[strings.Join(f[:2], ".")] = true
		for v, n := range k.Cells {
			total[v] += n
		}
		open += len(k.Open)
	}
	fmt.Fprintf(&b, "%d kernels of %d series, %d scenarios each: %d cells as expected, %d skipped, %d unexpected, %d infrastructure failures. "+
		"%d flips are open.\nFaultline %s with QEMU %s and TCG, %s to %s.\n\n",
		len(s.Kernels), len(series), s.Rows, total[observe.Expected], total[observe.Skipped], total[observe.Unexpected],
		total[observe.Infra], open, s.Version, s.QEMU, s.First, s.Last)
	b.WriteString("| kernel | package | skipped | what changed since the kernel above it |\n|---|---|---|---|\n")
	for _, k := range s.Kernels {
		what := strings.Join(k.Moves, ", ")
		if len(k.Open) > 0 {
			what += " **open: " + strings.Join(k.Open, ", ") + "**"
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s |\n", k.Title, k.Package, k.Cells[observe.Skipped], strings.TrimSpace(what))
	}
	b.WriteString("\n| change | upstream | kernels that show it |\n|---|---|---|\n")
	for _, c := range change.All() {
		if has := s.Has[c.ID]; has != "" {
			release := c.Since
			if c.Until != "" {
				release += " until " + c.Until
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", c.ID, release, has)
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// having returns the kernels that show a change, neighbours as "6.12.43 to 6.12.57".
func having(h history.History, id string) string {
	var parts []string
	first := -1
	for i := 0; i <= len(h.Kernels); i++ {
		has := i < len(h.Kernels) && slices.ContainsFunc(h.Kernels[i].Changes, func(s conclusion.ChangeState) bool {
			return s.ID == id && s.Verdict == conclusion.Has
		})
		switch {
		case has && first < 0:
			first = i
		case !has && first == i-1 && first >= 0:
			parts = append(parts, h.Kernels[first].Title)
		case !has && first >= 0:
			parts = append(parts, h.Kernels[first].Title+" to "+h.Kernels[i-1].Title)
		}
		if !has {
			first = -1
		}
	}
	return strings.Join(parts, ", ")
}
