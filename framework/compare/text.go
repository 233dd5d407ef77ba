package compare

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/internal/plain"
)

// Write says what differs, for a person: a line a field below its scenario, behind
// it the change that predicts it; one that is a finding begins with a !.
func (c Comparison) Write(w io.Writer) error {
	var b strings.Builder
	for i, p := range c.Pairs {
		if i > 0 {
			b.WriteByte('\n')
		}
		c.pair(&b, p)
	}
	for _, only := range []struct {
		side  string
		names []string
	}{{"A", c.OnlyA}, {"B", c.OnlyB}} {
		for _, n := range only.names {
			fmt.Fprintf(&b, "Only in %s: %s\n", only.side, plain.Line(n))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c Comparison) pair(b *strings.Builder, p Pair) {
	for _, s := range []struct {
		side string
		of   Column
	}{{"A", p.A}, {"B", p.B}} {
		fmt.Fprintf(b, "%s: %s, of ", s.side, plain.Line(s.of.Kernel))
		if s.of.Run != "" {
			fmt.Fprintf(b, "run %s in ", plain.Line(s.of.Run))
		}
		fmt.Fprintln(b, plain.Line(s.of.Label))
	}
	scenario := ""
	for _, d := range p.Differences {
		if d.Scenario != scenario {
			scenario = d.Scenario
			fmt.Fprintf(b, "\n%s\n", plain.Line(scenario))
		}
		sign, why := " ", d.ExplainedBy
		switch {
		case d.Lost:
			sign, why = "!", "LOST "+why
		case why == "":
			sign, why = "!", "UNEXPLAINED"
		}
		fmt.Fprintf(b, "%s %s [%s]\n", sign, plain.Line(d.String()), plain.Line(why))
	}
	b.WriteByte('\n')
	fmt.Fprintln(b, plain.Line(c.sentence(p)))
	left(b, p)
	if len(p.Unrecorded) > 0 {
		fmt.Fprintf(b, "Not compared, because only one version of Faultline records it: %s\n", plain.Line(strings.Join(p.Unrecorded, ", ")))
	}
}

// sentence is what came of a pair.
func (c Comparison) sentence(p Pair) string {
	if p.Compared == 0 {
		return "Nothing could be compared."
	}
	if len(p.Differences) == 0 {
		return fmt.Sprintf("No difference in %s.", matrix.Count(p.Compared, "scenario"))
	}
	var scenarios, changes []string
	explained, unexplained, lost := 0, 0, 0
	for _, d := range p.Differences {
		if !slices.Contains(scenarios, d.Scenario) {
			scenarios = append(scenarios, d.Scenario)
		}
		switch {
		case d.Lost:
			lost++
		case d.ExplainedBy == "":
			unexplained++
		default:
			explained++
			if words := matrix.ChangeNamed(c.known, d.ExplainedBy); !slices.Contains(changes, words) {
				changes = append(changes, words)
			}
		}
	}
	verb := "differ"
	if len(scenarios) == 1 {
		verb = "differs"
	}
	out := fmt.Sprintf("%d of %s %s in %s: ", len(scenarios), matrix.Count(p.Compared, "scenario"), verb, matrix.Count(len(p.Differences), "field"))
	var parts []string
	if explained > 0 {
		parts = append(parts, fmt.Sprintf("%d explained by %s", explained, matrix.List(changes)))
	}
	parts = append(parts, fmt.Sprintf("%d unexplained", unexplained))
	if lost > 0 {
		parts = append(parts, fmt.Sprintf("%d of a lost change", lost))
	}
	return out + strings.Join(parts, ", ") + "."
}

// left says what was not compared, each reason once.
func left(b *strings.Builder, p Pair) {
	var order []string
	of := map[string][]string{}
	for _, l := range p.Left {
		if of[l.Why] == nil {
			order = append(order, l.Why)
		}
		of[l.Why] = append(of[l.Why], l.Scenario)
	}
	for _, why := range order {
		ids := of[why]
		if more := len(ids) - mostNamed; more > 0 {
			ids = append(slices.Clone(ids[:mostNamed]), fmt.Sprintf("%d more", more))
		}
		fmt.Fprintf(b, "Not compared: %s: %s\n", plain.Line(strings.Join(ids, ", ")), plain.Line(why))
	}
}

// mostNamed is how many scenarios are named of those with the same reason.
const mostNamed = 4
