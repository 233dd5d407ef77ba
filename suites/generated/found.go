package generated

import (
	"fmt"
	"go/format"
	"regexp"
	"strings"

	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/observe"
)

// Found returns the source file of a spec for a program on which two kernels differ, from a
// cell of each. Every step has an expectation: where the kernels differ, it depends on the
// change found, which the file declares, and which its reader replaces by the one that it
// is. Named are the kernels in comments. A program that does different things on the two
// kernels, or panics one, has no spec.
func Found(p generated.Program, named [2]string, a, b observe.Cell) ([]byte, error) {
	did := course{expected: map[int]string{}, done: map[int]bool{}}
	for i := range p.Steps {
		before, onA := resultOf(a, i+1)
		after, onB := resultOf(b, i+1)
		switch {
		case onA != onB:
			return nil, fmt.Errorf("step %d, %s, has a result on one kernel only", i+1, p.Steps[i])
		case !onA:
			continue
		case before.Outcome.Panicked() || after.Outcome.Panicked():
			return nil, fmt.Errorf("step %d, %s, panics a kernel", i+1, p.Steps[i])
		}
		did.done[i] = true
		old, okA := pattern(before)
		now, okB := pattern(after)
		switch {
		case okA && okB && old == now:
			did.expected[i] = "BeOutcome(" + old + ")"
		case okA && okB:
			did.depends = true
			did.expected[i] = fmt.Sprintf("DependOn(found,\nBefore(%s),\nAfter(%s))", old, now)
		}
	}
	for _, s := range a.Steps {
		did.listed = did.listed || strings.HasPrefix(s.Action, "badblocks of ")
	}
	id := "found/" + strings.TrimPrefix(p.ID(), generated.Suite+"/")
	spec, err := spec(p, id, "does not yet have a text", did)
	if err != nil {
		return nil, err
	}
	var f strings.Builder
	fmt.Fprintf(&f, "// Package found has a spec of faultline explore, in which\n// %s and %s differ.\npackage found\n\n",
		named[0], named[1])
	fmt.Fprintln(&f, "import (")
	uses := func(name string) bool { return regexp.MustCompile(`\b` + name + `\.`).MatchString(spec) }
	fmt.Fprintln(&f, `. "github.com/onsi/ginkgo/v2"`)
	if len(did.expected) > 0 {
		fmt.Fprintln(&f, `. "github.com/onsi/gomega"`)
	}
	if uses("unix") {
		fmt.Fprintln(&f, `"golang.org/x/sys/unix"`)
	}
	fmt.Fprint(&f, "\n. \"github.com/faultline/faultline/framework\"\n")
	for _, i := range []struct {
		name, path string
		used       bool
	}{
		{"change", "framework/change", did.depends},
		{"inject", "framework/inject", uses("inject")},
		{"wire", "guest/wire", uses("wire")},
	} {
		if i.used {
			fmt.Fprintf(&f, "\"github.com/faultline/faultline/%s\"\n", i.path)
		}
	}
	fmt.Fprintln(&f, ")")
	if did.depends {
		fmt.Fprintf(&f, `
// found is the change between
// %s and %s.
// Replace it by a change that is known, or add it to package change.
var found = change.Change{ID: "found", Subject: "not known", Effect: "not known"}
`, named[0], named[1])
	}
	fmt.Fprintf(&f, "\nvar _ = Suite(\"found\")(%q, func() {\n%s\n})\n", "memory like "+p.Place.Name, spec)
	return format.Source([]byte(f.String()))
}

// resultOf returns the step that is the result of the n-th step of the program.
func resultOf(c observe.Cell, n int) (observe.Step, bool) {
	for _, s := range c.Steps {
		if s.Of == n {
			return s, true
		}
	}
	return observe.Step{}, false
}
