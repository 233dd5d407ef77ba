package results

import (
	"slices"
	"strings"
	"unicode"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/suggest"
)

// A cell is named SCENARIO@KERNEL. A scenario's id has no @, and KERNEL may be any of a
// kernel's names.

// CellName returns a name by which FindCell finds the cell: with the kernel's spec if it
// is unique in the run, else with its name.
func (r *Run) CellName(c observe.Cell) string {
	name := c.Kernel
	if k, ok := r.Kernel(c.Kernel); ok && k.Spec != "" && len(r.called(k.Spec)) == 1 {
		name = k.Spec
	}
	return c.Scenario + "@" + name
}

// SplitCell splits the name of a cell; ok is false if it is malformed.
func SplitCell(name string) (scenario, kernel string, ok bool) { return strings.Cut(name, "@") }

// FindCell finds a cell by its name: of several attempts, the one that represents them
// (observe.Pick). Its errors are errors of the request, and suggest similar names.
func (r *Run) FindCell(name string) (observe.Cell, Kernel, error) {
	id, kernel, ok := SplitCell(name)
	if !ok {
		return observe.Cell{}, Kernel{}, errkind.Requestf("%q is not the name of a cell; "+
			"write SCENARIO@KERNEL, such as dax/ext4/shared-read@apt:bookworm", name)
	}
	k, err := r.FindKernel(kernel)
	if err != nil {
		return observe.Cell{}, Kernel{}, err
	}
	if c, ok := observe.Pick(r.Cells, k.Name, id); ok {
		return c, k, nil
	}
	var known []string
	for _, c := range r.Cells {
		if c.Kernel == k.Name {
			known = append(known, c.Scenario)
		}
	}
	if names := suggest.Names(id, known); len(names) > 0 {
		return observe.Cell{}, Kernel{}, errkind.Requestf(
			"the run has no cell of %q on %s; did you mean %s?",
			id,
			k.Name,
			strings.Join(names, " or "),
		)
	}
	return observe.Cell{}, Kernel{}, errkind.Requestf("the run has no cell of %q on %s; "+
		"see report.html or run faultline report for its cells", id, k.Name)
}

// FindKernel finds a kernel of the run by its name, spec, version or release, or by a
// prefix of one of them that ends at a word boundary and is unique: 6.12 finds 6.12.117,
// but 6.1 does not.
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
		return Kernel{}, errkind.Requestf("%q matches more than one kernel of the run: %s",
			written, suggest.Quoted(all, "and"))
	}
	if near := suggest.Names(written, names); written != "" && len(near) > 0 {
		return Kernel{}, errkind.Requestf("the run has no kernel %q; did you mean %s?", written, strings.Join(near, " or "))
	}
	return Kernel{}, errkind.Requestf("the run has no kernel %q; it has %s", written, suggest.Quoted(all, "and"))
}

// begins reports whether a name begins with words and continues at a word boundary.
func begins(name, words string) bool {
	rest, ok := strings.CutPrefix(name, words)
	return ok && strings.IndexFunc(rest, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) != 0
}

// called returns the kernels that have exactly that name.
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

// names returns all names of a kernel.
func (k Kernel) names() []string {
	return slices.DeleteFunc([]string{k.Name, k.Spec, k.Version, k.Release}, func(n string) bool { return n == "" })
}
