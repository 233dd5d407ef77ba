package report_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report"
)

// Write the report of a recorded run again, as faultline report does.
func ExampleWrite() {
	folder, err := results.Open("results/latest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	run, err := folder.LoadObserved(judge.Run)
	if err == nil {
		err = report.Write(run, folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(filepath.Join(folder.Dir(), "report.html"))
}
