package bisect

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/git"
)

// ExitCode returns the exit code of the command for a finished bisection: whether each
// scenario has its commit, and no check contradicts it.
func (r *Record) ExitCode() int {
	code := errkind.ExitExpected
	for _, a := range r.Answers {
		switch {
		case a.Check != nil && a.Check.Verdict == Contradicted:
			return errkind.ExitUnexpected
		case a.First == "":
			code = errkind.ExitInfra
		}
	}
	return code
}

// Write writes the result as text.
func (r *Record) Write(w io.Writer) error {
	var b strings.Builder
	for i, a := range r.Answers {
		if i > 0 {
			b.WriteByte('\n')
		}
		r.writeAnswer(&b, a)
	}
	what := "commits"
	if len(r.Request.Kernels) > 0 {
		what = "kernels"
	}
	fmt.Fprintf(&b, "\nTried %s:\n", what)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, s := range r.Steps {
		switch {
		case s.Check:
		case len(r.Request.Kernels) > 0:
			fmt.Fprintf(t, "  %s\t%s\t%s\n", matrix.Printable(s.Spec), took(s), matrix.Printable(r.shown(s)))
		default:
			fmt.Fprintf(
				t,
				"  %s\t%s\t%s\t%s\n",
				s.Kernel,
				took(s),
				matrix.Printable(clip(s.Subject, 50)),
				matrix.Printable(r.shown(s)),
			)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, a := range r.Aside {
		fmt.Fprintf(&b, "Not bisected: %s: %s\n", a.Scenario, matrix.Printable(a.Why))
	}
	if r.Same > 0 {
		fmt.Fprintf(&b, "Same at both ends: %s.\n", english.Plural(r.Same, "scenario", ""))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Record) writeAnswer(b *strings.Builder, a Answer) {
	what, kind := a.Scenarios[0], "commit"
	if len(r.Request.Kernels) > 0 {
		kind = "kernel"
	}
	if n := len(a.Scenarios); n > 1 {
		what = english.Plural(n, "scenario", "")
	}
	switch {
	case a.First != "":
		fmt.Fprintf(b, "%s: %s is the first new %s\n", what,
			matrix.Printable(r.Request.title(a.First, matrix.Printable(a.Subject))), kind)
	case a.Error != "":
		fmt.Fprintf(b, "%s: %s\n", what, matrix.Printable(a.Error))
	default:
		fmt.Fprintf(b, "%s: the first new %s is one of %d; "+
			"the others between the ends cannot be judged:\n", what, kind, len(a.Possible))
		for _, c := range a.Possible {
			fmt.Fprintf(b, "  %s\n", r.Request.skip(c))
		}
	}
	for _, d := range r.Differ {
		if slices.Contains(a.Scenarios, d.Scenario) {
			fmt.Fprintf(b, "  %s: %s → %s\n", d.Scenario, matrix.Printable(d.Old), matrix.Printable(d.New))
		}
	}
	if c := a.Check; c != nil {
		switch c.Verdict {
		case Confirmed:
			fmt.Fprintf(b, "  check: %s, shows the other result: confirmed\n", c.How)
		case Contradicted:
			fmt.Fprintf(b, "  check: %s, CONTRADICTED: %s\n", c.How, matrix.Printable(c.Why))
		case NotPossible:
			fmt.Fprintf(b, "  check: not possible: %s\n", matrix.Printable(c.Why))
		}
	}
}

func took(s Step) string {
	if s.State == LeftOut {
		return ""
	}
	return fmt.Sprintf("%.1f s", s.BuildSeconds+s.ObserveSeconds)
}

// shown returns the result of a step: a state, a headline, or counts by side.
func (r *Record) shown(s Step) string {
	if s.State != Observed {
		if s.Why == "" {
			return s.State.String()
		}
		return clip(s.State.String()+": "+s.Why, 100)
	}
	texts := map[git.Term][]string{}
	for _, d := range r.Differ {
		shown := s.Shown[d.Scenario]
		texts[shown.Side] = append(texts[shown.Side], shown.Text)
	}
	var parts []string
	for _, side := range []git.Term{git.Old, git.New, git.Skip} {
		switch all := texts[side]; {
		case len(all) == 1:
			parts = append(parts, fmt.Sprintf("%s: %s", word(side), all[0]))
		case len(all) > 1:
			parts = append(parts, fmt.Sprintf("%s in %d", word(side), len(all)))
		}
	}
	return strings.Join(parts, "; ")
}

// clip shortens a text to at most most characters, for a line of a table.
func clip(text string, most int) string {
	r := []rune(strings.Join(strings.Fields(text), " "))
	if len(r) <= most {
		return string(r)
	}
	return string(r[:most-1]) + "…"
}

// word returns a side for use in a sentence.
func word(side git.Term) string {
	if side == git.Skip {
		return "neither"
	}
	return string(side)
}
