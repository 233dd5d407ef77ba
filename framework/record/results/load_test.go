package results_test

import (
	"os"
	"testing"
	"time"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

// A killed run has a run.json without cells, and the files of the finished cells.
func TestLoadObserved(t *testing.T) {
	whole := run("r1", cell("a/b", "old", "EIO"), cell("a/c", "old", "EIO"))
	f := folder(t, whole)
	killed := whole
	killed.Finished, killed.Cells, killed.Differences, killed.Summary = time.Time{}, nil, nil, results.Summary{}
	if err := f.PutRun(killed); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.Path(results.CellFile(cell("a/c", "old", "")))); err != nil {
		t.Fatal(err)
	}
	got, err := f.LoadObserved(judge.Run)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Cells) != 1 || !got.Interrupted || got.Summary.ExitCode != errkind.ExitInterrupted || got.Summary.Expected != 1 {
		t.Errorf("got %d cells, interrupted %t, %+v; want 1 expected cell of an interrupted run", len(got.Cells), got.Interrupted, got.Summary)
	}
	// A finished run is read from run.json.
	if err := f.PutRun(whole); err != nil {
		t.Fatal(err)
	}
	if got, err := f.LoadObserved(judge.Run); err != nil || len(got.Cells) != 2 || got.Interrupted || got.Summary.ExitCode != whole.Summary.ExitCode {
		t.Errorf("got %d cells, interrupted %t, %+v, error %v; want 2 cells of a finished run, %+v",
			len(got.Cells), got.Interrupted, got.Summary, err, whole.Summary)
	}
}
