package compare

import (
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

// Find finds a kernel of a run by its name, its spec, its version or its release, or by
// a prefix that only one name has.
func Find(run results.Run, kernel string) (results.Kernel, bool) {
	for _, is := range []func(results.Kernel) bool{
		func(k results.Kernel) bool { return k.Name == kernel },
		func(k results.Kernel) bool { return k.Spec == kernel },
		func(k results.Kernel) bool { return k.Version == kernel },
		func(k results.Kernel) bool { return k.Release == kernel },
		func(k results.Kernel) bool { return begins(k.Name, kernel) }, // 6.1 does not match 6.12
		func(k results.Kernel) bool { return strings.HasPrefix(k.Name, kernel) },
	} {
		found := slices.DeleteFunc(slices.Clone(run.Kernels), func(k results.Kernel) bool { return !is(k) })
		if len(found) == 1 {
			return found[0], true
		}
	}
	return results.Kernel{}, false
}

// begins reports whether a name begins with whole parts.
func begins(name, parts string) bool {
	rest, ok := strings.CutPrefix(name, parts)
	return ok && parts != "" && (rest == "" || strings.ContainsAny(rest[:1], ".-+ ("))
}

// find is Find with an error that lists the kernels if there is no such one.
func (s Side) find(kernel string) (results.Kernel, error) {
	if k, ok := Find(s.Run, kernel); ok {
		return k, nil
	}
	return results.Kernel{}, errkind.Requestf("%s has no kernel %q, or more than one; give one of %s",
		s.Label, kernel, english.WordSeries(names(s.Run.Kernels), "and"))
}

func names(kernels []results.Kernel) []string {
	var out []string
	for _, k := range kernels {
		out = append(out, k.Name)
	}
	return out
}

// pairUp finds the kernel of b for each of a: first the user's pairs, then those with the
// same name, then those with the same spec, and last the only one left on each side.
func pairUp(a, b Side, given [][2]string) (pairs [][2]results.Kernel, onlyA, onlyB []string, err error) {
	left, right := a.Run.Kernels, b.Run.Kernels
	for _, s := range []struct {
		side Side
		from *[]results.Kernel
	}{{a, &left}, {b, &right}} {
		*s.from = slices.Clone(*s.from)
		if s.side.Kernel != "" {
			k, err := s.side.find(s.side.Kernel)
			if err != nil {
				return nil, nil, nil, err
			}
			*s.from = []results.Kernel{k}
		}
	}
	take := func(i, j int) {
		pairs = append(pairs, [2]results.Kernel{left[i], right[j]})
		left, right = slices.Delete(left, i, i+1), slices.Delete(right, j, j+1)
	}
	at := func(list []results.Kernel, name string) int {
		return slices.IndexFunc(list, func(k results.Kernel) bool { return k.Name == name })
	}
	for _, p := range given {
		x, err := a.find(p[0])
		if err != nil {
			return nil, nil, nil, err
		}
		y, err := b.find(p[1])
		if err != nil {
			return nil, nil, nil, err
		}
		i, j := at(left, x.Name), at(right, y.Name)
		if i < 0 || j < 0 {
			return nil, nil, nil, errkind.Requestf(
				"--pair %s=%s: one of them is in another pair, or not selected; remove one of the pairs",
				p[0],
				p[1],
			)
		}
		take(i, j)
	}
	for _, same := range []func(x, y results.Kernel) bool{
		func(x, y results.Kernel) bool { return x.Name == y.Name },
		func(x, y results.Kernel) bool { return x.Spec == y.Spec && x.Spec != "" },
	} {
		for i := 0; i < len(left); {
			j := slices.IndexFunc(right, func(y results.Kernel) bool { return same(left[i], y) })
			if j < 0 {
				i++
				continue
			}
			take(i, j)
		}
	}
	if len(pairs) == 0 && len(left) == 1 && len(right) == 1 {
		take(0, 0)
	}
	if len(pairs) == 0 {
		return nil, nil, nil, errkind.Requestf(
			"no kernel of %s (%s) is in %s (%s); give the pairs with --pair A=B, or one kernel of each: DIR:KERNEL",
			a.Label,
			english.WordSeries(names(left), "and"),
			b.Label,
			english.WordSeries(names(right), "and"),
		)
	}
	return pairs, names(left), names(right), nil
}
