package suite

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/onsi/ginkgo/v2"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/internal/sanitize"
)

// entryName is the name of the report entry that carries a spec's cell from the parallel
// process that observed it to the one that judges, and into Ginkgo's --json-report.
const entryName = "faultline.cell"

// entry carries a cell; it is filled when the spec has ended.
type entry struct {
	Cell *observe.Cell `json:"cell"`
}

// conclude judges the cells of one suite, as faultline run judges those of all. A
// finding fails the suite even if no spec failed.
func conclude(r ginkgo.Report) {
	var cells []observe.Cell
	for _, spec := range r.SpecReports {
		for _, e := range spec.ReportEntries {
			if e.Name != entryName {
				continue
			}
			// An entry of another process has been through JSON; one of this process has not.
			var got entry
			data, err := json.Marshal(e.Value.GetRawValue())
			if err == nil && json.Unmarshal(data, &got) == nil && got.Cell != nil {
				cells = append(cells, *got.Cell)
			}
		}
	}
	if len(cells) == 0 {
		return
	}
	k := judge.NewKernel(process.kernel.Name, process.kernel.Version, process.kernel.Release, flags.has)
	j := judge.Judge(cells, []judge.Kernel{k}, change.All())
	var b strings.Builder
	sayConclusion(&b, k.Name, j)
	text := sanitize.Log(b.String())
	if len(j.Findings) > 0 {
		ginkgo.Fail(text)
	}
	fmt.Print(text)
}

// sayConclusion prints the judgement of one kernel's cells.
func sayConclusion(w io.Writer, kernel string, j judge.Judgement) {
	fmt.Fprintf(w, "\n%s\n", kernel)
	for _, s := range j.States[kernel] {
		fmt.Fprintf(w, "  %s\n", s)
	}
	for _, f := range j.Findings {
		fmt.Fprintf(w, "  finding: %s\n", f.Message)
	}
}
