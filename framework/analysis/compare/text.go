package compare

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/internal/sanitize"
)

// Write writes the differences as text: one line for each field below its scenario, with
// the change that predicts it; a finding begins with !, one that is not judged with ?.
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
			fmt.Fprintf(&b, "Only in %s: %s\n", only.side, sanitize.Line(n))
		}
	}
	for _, g := range c.Gone {
		fmt.Fprintf(&b, "Not compared: %s is not in B, which planned %s of it\n",
			sanitize.Line(g.Kernel), english.Plural(g.Scenarios, "scenario", ""))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c Comparison) pair(b *strings.Builder, p Pair) {
	for _, s := range []struct {
		side string
		of   Column
	}{{"A", p.A}, {"B", p.B}} {
		fmt.Fprintf(b, "%s: %s, of ", s.side, sanitize.Line(s.of.Kernel))
		if s.of.Run != "" {
			fmt.Fprintf(b, "run %s in ", sanitize.Line(s.of.Run))
		}
		fmt.Fprintln(b, sanitize.Line(s.of.Label))
	}
	scenario := ""
	for _, d := range p.Differences {
		if d.Scenario != scenario {
			scenario = d.Scenario
			fmt.Fprintf(b, "\n%s\n", sanitize.Line(scenario))
		}
		sign, why := " ", d.ExplainedBy
		switch {
		case d.Lost:
			sign, why = "!", "LOST "+why
		case why == "":
			sign, why = "!", "UNEXPLAINED"
		}
		fmt.Fprintf(b, "%s %s [%s]\n", sign, sanitize.Line(d.String()), sanitize.Line(why))
	}
	for _, d := range p.OtherHost {
		if d.Scenario != scenario {
			scenario = d.Scenario
			fmt.Fprintf(b, "\n%s\n", sanitize.Line(scenario))
		}
		fmt.Fprintf(b, "? %s [%s]\n", sanitize.Line(d.String()), sanitize.Line(d.Cause))
	}
	b.WriteByte('\n')
	fmt.Fprintln(b, sanitize.Line(c.sentence(p)))
	otherHost(b, p)
	if n := len(p.Left); n > 0 && p.Compared > 0 {
		fmt.Fprintf(b, "%d of %s could not be compared.\n", n, english.Plural(n+p.Compared, "scenario", ""))
	}
	left(b, p)
	if len(p.Unrecorded) > 0 {
		fmt.Fprintf(
			b,
			"Not compared, because only one version of Faultline records it: %s\n",
			sanitize.Line(strings.Join(p.Unrecorded, ", ")),
		)
	}
}

// sentence returns the result for a pair.
func (c Comparison) sentence(p Pair) string {
	if p.Compared == 0 {
		return "Nothing could be compared."
	}
	if len(p.Differences) == 0 && len(p.OtherHost) > 0 {
		return fmt.Sprintf("No difference with the kernel as its known cause in %s.",
			english.Plural(p.Compared, "scenario", ""))
	}
	if len(p.Differences) == 0 {
		return fmt.Sprintf("No difference in %s.", english.Plural(p.Compared, "scenario", ""))
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
			if name := c.known.Named(d.ExplainedBy); !slices.Contains(changes, name) {
				changes = append(changes, name)
			}
		}
	}
	verb := "differ"
	if len(scenarios) == 1 {
		verb = "differs"
	}
	out := fmt.Sprintf(
		"%d of %s %s in %s: ",
		len(scenarios),
		english.Plural(p.Compared, "scenario", ""),
		verb,
		english.Plural(len(p.Differences), "field", ""),
	)
	var parts []string
	if explained > 0 {
		parts = append(parts, fmt.Sprintf("%d explained by %s", explained, english.WordSeries(changes, "and")))
	}
	parts = append(parts, fmt.Sprintf("%d unexplained", unexplained))
	if lost > 0 {
		parts = append(parts, fmt.Sprintf("%d from a lost change", lost))
	}
	return out + strings.Join(parts, ", ") + "."
}

// otherHost counts the differences whose cause may not be the kernel, by cause.
func otherHost(b *strings.Builder, p Pair) {
	var order []string
	of := map[string][]string{}
	for _, d := range p.OtherHost {
		if of[d.Cause] == nil {
			order = append(order, d.Cause)
		}
		if !slices.Contains(of[d.Cause], d.Scenario) {
			of[d.Cause] = append(of[d.Cause], d.Scenario)
		}
	}
	for _, cause := range order {
		fmt.Fprintf(b, "Not judged, because not only the kernel differs (%s): %s: %s\n",
			sanitize.Line(cause), english.Plural(len(of[cause]), "scenario", ""), named(of[cause]))
	}
}

// left lists the scenarios that were not compared, each reason once.
func left(b *strings.Builder, p Pair) {
	type reason struct {
		why   string
		moved bool
	}
	var order []reason
	of := map[reason][]string{}
	for _, l := range p.Left {
		r := reason{l.Why, l.Moved}
		if of[r] == nil {
			order = append(order, r)
		}
		of[r] = append(of[r], l.Scenario)
	}
	for _, r := range order {
		what := "Not compared"
		if r.moved {
			what = "Observed in A only"
		}
		fmt.Fprintf(b, "%s: %s: %s\n", what, named(of[r]), sanitize.Line(r.why))
	}
}

// named lists scenarios, at most mostNamed.
func named(ids []string) string {
	if more := len(ids) - mostNamed; more > 0 {
		ids = append(slices.Clone(ids[:mostNamed]), fmt.Sprintf("%d more", more))
	}
	return sanitize.Line(strings.Join(ids, ", "))
}

// mostNamed is the number of scenarios with the same reason that are listed at most.
const mostNamed = 4
