package html

import (
	"fmt"
	"strings"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/internal/sanitize"
)

// columns returns those of the matrix: kernels that show the same are one column, which
// the reader can unfold.
func columns(run results.Run, rows []matrix.Row, short []string) []column {
	var out []column
	for _, members := range matrix.Fold(rows, len(run.Kernels)) {
		c := column{Kernel: members[0]}
		for _, k := range members {
			c.Names = append(c.Names, label{short[k], run.Kernels[k].Name})
		}
		c.Members = strings.Trim(fmt.Sprint(members), "[]")
		out = append(out, c)
	}
	return out
}

func newRow(run results.Run, r matrix.Row, cols []column) pageRow {
	out := pageRow{ID: r.Scenario.ID, Doc: r.Scenario.Doc}
	ids, un := r.Why()
	switch {
	case un || r.Lost():
		out.Class, out.Mark, out.Says = "differs unexplained", "≠", "differs, unexplained"
	case len(r.Differences) > 0:
		out.Class, out.Mark, out.Says = "differs", "≠", "differs"
	case r.Notable():
		out.Class, out.Mark, out.Says = "trouble", "!", "needs a look"
	}
	for _, id := range ids {
		out.Why = append(out.Why, newBadge(run, id))
	}
	for _, b := range []struct {
		on   bool
		text string
	}{{un, "unexplained"}, {r.Lost(), "lost"}, {len(r.Repeats) > 0, "not repeatable"},
		{len(r.Uncompared) > 0, "not compared"}} {
		if b.on {
			out.Why = append(out.Why, badge{Class: "unexplained", Text: b.text})
		}
	}
	texts, variants, also := r.Texts(), r.Variants(), r.Unlike()
	beside := r.Reference()
	for _, col := range cols {
		i := col.Kernel
		c := r.Cells[i]
		if c == nil {
			out.Cells = append(out.Cells, pageCell{Missing: true})
			continue
		}
		cell := pageCell{Class: string(c.Verdict), Text: cellText(texts[i])}
		if v := variants[i]; v > 0 {
			cell.Class += fmt.Sprintf(" v%d", min(v, 3))
		}
		if c.Verdict == observe.Unexpected {
			cell.Tag = c.Verdict.Text()
		}
		if ref := beside[i]; ref >= 0 && texts[ref] == texts[i] && len(also[i]) > 0 {
			cell.Also = strings.Join(also[i], ", ")
		}
		out.Cells = append(out.Cells, cell)
	}
	return out
}

// cellText returns a headline for a narrow column: one outcome on each line, without the
// signal's name if its code implies it.
func cellText(headline string) string {
	return strings.ReplaceAll(strings.ReplaceAll(sanitize.Text(headline), "SIGBUS BUS_", "BUS_"), "; ", ";\n")
}

// newBadge returns the badge of a change that explains a difference.
func newBadge(run results.Run, id string) badge {
	c := lookup(run, id)
	b := badge{Text: c.ID, Title: c.ID, ID: c.ID}
	switch {
	case c.Since != "":
		b.Title = strings.TrimSpace(fmt.Sprintf("%s (%s): %s", c.Commit, c.Since, c.Subject))
	case c.Subject != "": // a user's change, in which the commit is optional
		b.Title = strings.TrimPrefix(c.Commit+": "+c.Subject, ": ")
	}
	return b
}
