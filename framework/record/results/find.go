package results

import (
	"slices"
	"strings"
	"unicode"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/suggest"
)

// A cell is named SCENARIO@KERNEL. No scenario's id has an @, and a kernel may be
// called by any of its names.

// CellName is what FindCell finds the cell by: the kernel's spec, where no other
// kernel of the run has the same, else its name.
func (r *Run) CellName(c observe.Cell) string {
	name := c.Kernel
	if k, ok := r.Kernel(c.Kernel); ok && k.Spec != "" && len(r.called(k.Spec)) == 1 {
		name = k.Spec
	}
	return c.Scenario + "@" + name
}

// SplitCell parts the name of a cell; ok is false where it names none.
func SplitCell(name string) (scenario, kernel string, ok bool) { return strings.Cut(name, "@") }

// FindCell finds a cell by its name: of several attempts, the one that stands for
// them (judge.Pick). The errors are requests that can't be met, with near names.
func (r *Run) FindCell(name string) (observe.Cell, Kernel, error) {
	id, kernel, ok := SplitCell(name)
	if !ok {
		return observe.Cell{}, Kernel{}, errkind.Requestf("%q names no cell; write SCENARIO@KERNEL, as in dax/ext4/shared-read@apt:bookworm", name)
	}
	k, err := r.FindKernel(kernel)
	if err != nil {
		return observe.Cell{}, Kernel{}, err
	}
	if c, ok := judge.Pick(r.Cells, k.Name, id); ok {
		return c, k, nil
	}
	var known []string
	for _, c := range r.Cells {
		if c.Kernel == k.Name {
			known = append(known, c.Scenario)
		}
	}
	if names := suggest.Names(id, known); len(names) > 0 {
		return observe.Cell{}, Kernel{}, errkind.Requestf("the run has no cell of %q on %s; did you mean %s?", id, k.Name, strings.Join(names, " or "))
	}
	return observe.Cell{}, Kernel{}, errkind.Requestf("the run has no cell of %q on %s; its report.html and faultline report show what it has", id, k.Name)
}

// FindKernel finds a kernel of the run by its name, its spec, its version or its
// release, or by the words that one of them begins with, where that is one kernel
// only: 6.12 is 6.12.117, and 6.1 is not.
func (r *Run) FindKernel(written string) (Kernel, error) {
	found := r.called(written)
	if len(found) == 0 && written != "" {
		for _, k := range r.Kernels {
			for _, n := range k.names() {
				if begins(n, written) {
					found = append(found, k)
					break
				}
			}
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	var all, names []string
	for _, k := range r.Kernels {
		all, names = append(all, k.Name), append(names, k.names()...)
	}
	if len(found) > 1 {
		all = nil
		for _, k := range found {
			all = append(all, k.Name)
		}
		return Kernel{}, errkind.Requestf("%q is more than one kernel of the run: %s", written, suggest.Quoted(all, "and"))
	}
	if near := suggest.Names(written, names); written != "" && len(near) > 0 {
		return Kernel{}, errkind.Requestf("the run has no kernel %q; did you mean %s?", written, strings.Join(near, " or "))
	}
	return Kernel{}, errkind.Requestf("the run has no kernel %q; it has %s", written, suggest.Quoted(all, "and"))
}

// begins says whether a name begins with these words.
func begins(name, words string) bool {
	rest, ok := strings.CutPrefix(name, words)
	return ok && strings.IndexFunc(rest, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) != 0
}

// called are the kernels that have exactly that name.
func (r *Run) called(name string) []Kernel {
	var out []Kernel
	for _, k := range r.Kernels {
		for _, n := range k.names() {
			if n == name {
				out = append(out, k)
				break
			}
		}
	}
	return out
}

// names are all that a kernel goes by.
func (k Kernel) names() []string {
	return slices.DeleteFunc([]string{k.Name, k.Spec, k.Version, k.Release}, func(n string) bool { return n == "" })
}
