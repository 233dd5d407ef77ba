// Package needs tells by a kernel's configuration which scenarios it loses, and
// by which symbols it would have them. It
// boots nothing; what a configuration does not tell, a guest finds out.
package needs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/guest/required"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/kconfig"
)

// Report is what a kernel's configuration loses.
type Report struct {
	Kernel string // its name
	Asked  int    // how many scenarios were asked for
	// Guest are the symbols without which no guest runs, and so no scenario.
	Guest []required.Need
	// Lost are the scenarios that need what is not there, the largest group first.
	Lost []Group
	// Refused are the scenarios that need what is there, and may not be used.
	Refused []Refusal
	// Steered are the settings by which it steers each guest, whatever that is started with.
	Steered []kernels.Setting
	// Unmet is what its Kconfig was asked for and did not take; see kernels.Kernel.
	Unmet []kconfig.Unmet
}

// Group are the scenarios that a kernel loses for want of the same symbols.
type Group struct {
	Missing   []string // sorted
	Scenarios []string // ids, in the order that they were asked for
}

// Impossible says why a scenario can't be done on a kernel, as its configuration
// tells before anything is booted; "" where it tells nothing.
func Impossible(k *kernels.Kernel, i scenario.Info) string {
	if i.NotDoable != "" {
		return i.NotDoable
	}
	if missing := k.Lacks(required.Symbols()...); len(missing) > 0 {
		return fmt.Sprintf("no guest runs on %s: it lacks %s", k.Name, symbols(missing))
	}
	if missing := lacks(k, i.Needs); len(missing) > 0 {
		return fmt.Sprintf("%s lacks %s", k.Name, symbols(missing))
	}
	return cmp.Or(guestDenial(k), denial(k, i.Needs))
}

// lacks are those of the symbols that the kernel has not, without CONFIG_.
func lacks(k *kernels.Kernel, needs []string) []string {
	missing := k.Lacks(needs...)
	for i := range missing {
		missing[i] = strings.TrimPrefix(missing[i], prefix)
	}
	return missing
}

// Of makes the report for a kernel. Scenarios that can be done on no kernel are
// not counted.
func Of(k *kernels.Kernel, scenarios []scenario.Info) Report {
	scenarios = slices.DeleteFunc(slices.Clone(scenarios), func(i scenario.Info) bool { return i.NotDoable != "" })
	r := Report{Kernel: k.Name, Asked: len(scenarios), Unmet: k.Unmet, Steered: kernels.Steering(k.Config)}
	guests := k.Lacks(required.Symbols()...)
	for _, n := range required.Needs() {
		if slices.Contains(guests, n.Symbol) {
			r.Guest = append(r.Guest, n)
		}
	}
	guest := guestDenial(k)
	at := map[string]int{} // a group's place in r.Lost
	for _, s := range scenarios {
		missing := lacks(k, s.Needs)
		if len(missing) == 0 {
			if why := cmp.Or(guest, denial(k, s.Needs)); why != "" {
				r.refuse(why, s.ID)
			}
			continue
		}
		slices.Sort(missing)
		missing = slices.Compact(missing)
		key := strings.Join(missing, " ")
		i, known := at[key]
		if !known {
			i = len(r.Lost)
			at[key] = i
			r.Lost = append(r.Lost, Group{Missing: missing})
		}
		r.Lost[i].Scenarios = append(r.Lost[i].Scenarios, s.ID)
	}
	slices.SortStableFunc(r.Lost, func(a, b Group) int { return cmp.Compare(len(b.Scenarios), len(a.Scenarios)) })
	return r
}

// prefix is what a symbol begins with in a configuration file, and may begin
// with in a need.
const prefix = "CONFIG_"

// Count is how many scenarios the kernel loses, those aside that a guest needs
// to run at all.
func (r Report) Count() (n int) {
	for _, g := range r.Lost {
		n += len(g.Scenarios)
	}
	for _, x := range r.Refused {
		n += len(x.Scenarios)
	}
	return n
}

// Missing are the symbols that bring everything back, sorted.
func (r Report) Missing() []string {
	var all []string
	for _, n := range r.Guest {
		all = append(all, n.Symbol)
	}
	for _, g := range r.Lost {
		all = append(all, g.Missing...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// String is the report for a person, in lines.
func (r Report) String() string {
	var b strings.Builder
	switch n := r.Count(); {
	case len(r.Guest) > 0:
		fmt.Fprintf(&b, "%s: no guest of it can run, it lacks\n", r.Kernel)
		width := 0
		for _, n := range r.Guest {
			width = max(width, len(n.Symbol))
		}
		for _, n := range r.Guest {
			fmt.Fprintf(&b, "  %s%-*s  %s\n", prefix, width, n.Symbol, n.For)
		}
		if r.Count() > 0 {
			fmt.Fprintf(&b, "with them it would lose %d of %d scenarios\n", n, r.Asked)
		}
	case n == 0:
		fmt.Fprintf(&b, "%s: it has what each of %d scenarios needs\n", r.Kernel, r.Asked)
	default:
		fmt.Fprintf(&b, "%s: it loses %d of %d scenarios\n", r.Kernel, n, r.Asked)
	}
	for _, g := range r.Lost {
		fmt.Fprintf(&b, "%d without %s\n", len(g.Scenarios), symbols(g.Missing))
		for _, id := range g.Scenarios {
			fmt.Fprintf(&b, "  %s\n", id)
		}
	}
	for _, x := range r.Refused {
		fmt.Fprintf(&b, "%d because %s\n", len(x.Scenarios), x.Why)
		for _, id := range x.Scenarios {
			fmt.Fprintf(&b, "  %s\n", id)
		}
	}
	if missing := r.Missing(); len(missing) > 0 {
		fmt.Fprintf(&b, "to have them all, build it with %s\n", symbols(missing))
	}
	for _, s := range r.Steered {
		fmt.Fprintf(&b, "%s\n", steers(s))
	}
	for _, u := range r.Unmet {
		fmt.Fprintf(&b, "its Kconfig does not take %s\n", u)
	}
	return b.String()
}

func steers(s kernels.Setting) string {
	return fmt.Sprintf("it is built with %s, which steers each guest and may change what is observed", s)
}

func symbols(names []string) string { return prefix + strings.Join(names, ", "+prefix) }
