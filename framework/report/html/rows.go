package html

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/judge"
	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/framework/results"
	"github.com/faultline/faultline/internal/plain"
)

func newRow(n int, r matrix.Row, run results.Run) pageRow {
	out := pageRow{
		N: n, ID: r.Scenario.ID, Doc: r.Scenario.Doc, Notable: r.Notable(),
		Needs: strings.Join(r.Scenario.Needs, ", "), NotRepeatable: len(r.Repeats) > 0,
	}
	ids, un := r.Why()
	out.Unexplained, out.Lost = un, r.Lost()
	switch {
	case un || r.Lost():
		out.Class, out.Mark = "differs unexplained", "≠"
	case len(r.Differences) > 0:
		out.Class, out.Mark = "differs", "≠"
	case out.Notable:
		out.Class, out.Mark = "trouble", "!"
	}
	search := []string{r.Scenario.ID, r.Scenario.Doc}
	for _, id := range ids {
		c := lookup(run, id)
		b := badge{ID: c.ID, Subject: c.Subject, Title: c.ID}
		switch {
		case c.Since != "":
			b.Title = fmt.Sprintf("%s (%s): %s", c.Commit, c.Since, c.Subject)
		case c.Subject != "": // a user's, who need not say more
			b.Title = strings.TrimPrefix(c.Commit+": "+c.Subject, ": ")
		}
		out.Changes = append(out.Changes, b)
		search = append(search, c.ID, c.Commit)
	}
	out.Pairs = pairs(append(slices.Clone(r.Differences), r.Repeats...))
	var reference *observe.Cell
	texts := r.Texts()
	for i, c := range r.Cells {
		cell := pageCell{Kernel: run.Kernels[i].Name, N: i, Missing: true, Text: "–", Class: "missing", State: "not observed"}
		if c != nil {
			cell = newCell(i, c, reference, r, run)
			cell.Text = texts[i]
			search = append(search, cell.Text, cell.State)
			if (reference == nil || reference.Accel != c.Accel) && judge.Comparable(*c) {
				reference = c
			}
		}
		out.Cells = append(out.Cells, cell)
	}
	out.Search = strings.ToLower(strings.Join(search, " "))
	return out
}

func pairs(diffs []judge.Difference) []pair {
	var out []pair
	for _, d := range diffs {
		a, b := d.KernelA, d.KernelB
		if a == b {
			a, b = fmt.Sprintf("%s, attempt %d", a, max(1, d.AttemptA)), fmt.Sprintf("%s, attempt %d", b, max(1, d.AttemptB))
		}
		where := "witness"
		if d.Step != judge.WholeCell {
			where = fmt.Sprintf("step %d, %s: %s", d.Step+1, d.Actor, d.Action)
		}
		if last := len(out) - 1; last < 0 || out[last].A != a || out[last].B != b {
			out = append(out, pair{A: a, B: b})
		}
		p := &out[len(out)-1]
		p.Differences = append(p.Differences, difference{where, strings.TrimPrefix(d.Field, judge.WitnessPrefix), plain.Text(d.A), plain.Text(d.B), d.ExplainedBy})
	}
	return out
}

func newCell(i int, c, reference *observe.Cell, r matrix.Row, run results.Run) pageCell {
	out := pageCell{
		Kernel: c.Kernel, N: i, Class: string(c.Verdict), State: matrix.VerdictWords(c.Verdict),
		Message: c.Message, Log: plain.Text(strings.Join(c.KernelLog, "\n")), Tail: plain.Text(c.ConsoleTail),
	}
	out.Facts = fmt.Sprintf("%s, %.0f ms", c.Accel, c.Millis)
	if n := r.Attempts[i]; n > 1 {
		out.Facts += fmt.Sprintf(", attempt %d of %d", c.Attempt, n)
	}
	for j, s := range c.Steps {
		var other *observe.Step
		if reference != nil && j < len(reference.Steps) {
			other = &reference.Steps[j]
		}
		differs := slices.ContainsFunc(r.Differences, func(d judge.Difference) bool {
			return d.Step == j && (d.KernelA == c.Kernel || d.KernelB == c.Kernel)
		})
		out.Steps = append(out.Steps, newStep(j, s, other, differs))
	}
	var names []string
	for n := range c.Witnesses {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		out.Witnesses = append(out.Witnesses, fact{Name: n, Value: plain.Text(c.Witnesses[n])})
	}
	out.Repeat = matrix.Repeat(run, *c)
	return out
}

func newStep(i int, s observe.Step, other *observe.Step, differs bool) pageStep {
	out := pageStep{N: i + 1, Actor: s.Actor, Action: s.Action, Outcome: s.Outcome.String(), Differs: differs}
	if e := s.Expected; e != nil {
		x := expectation{Met: e.Met, Wanted: e.Wanted()}
		switch {
		case e.Change == "":
			x.Why = "on every kernel"
		case e.Hidden != "":
			x.Why = "because without CONFIG_" + e.Hidden + " nobody sees " + e.Change
		case e.Side == observe.Before:
			x.Wanted, x.Why, x.Other = e.Before, "without "+e.Change, "with it: "+e.After
		case e.Side == observe.After:
			x.Wanted, x.Why, x.Other = e.After, "with "+e.Change, "without it: "+e.Before
		}
		if e.Side == observe.Partly {
			x.Other = "this is a part of " + e.PartOf
		}
		out.Expected = &x
	}
	o := s.Outcome
	add := func(name, value string) {
		if value != "" {
			out.Details = append(out.Details, fact{Name: name, Value: value})
		}
	}
	if o.Ret != nil {
		add("returned", fmt.Sprint(*o.Ret))
	}
	add("errno", o.Errno)
	add("data", o.Data)
	add("digest", o.Digest)
	add("note", o.Note)
	for j, sig := range o.Signals {
		var theirs []byte
		if other != nil && j < len(other.Outcome.Signals) {
			theirs, _ = hex.DecodeString(other.Outcome.Signals[j].Raw) // nil: nothing to compare with
		}
		out.Signals = append(out.Signals, newSignal(sig, theirs, differs))
	}
	return out
}

func newSignal(s observe.Signal, theirs []byte, open bool) pageSignal {
	out := pageSignal{Title: s.String(), Thread: s.Thread, Open: open}
	in, fields := parts(s)
	if fields == nil {
		out.Raw = s.Raw
		return out
	}
	out.Fields = fields
	out.Dump = hexdump(in.Raw[:], theirs, fields)
	return out
}
