// Package needs finds by a kernel's configuration which scenarios are skipped on it, and
// the symbols that would change that. It boots nothing; needs that a configuration does
// not show are checked in the guest.
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

// Report is the result for a kernel's configuration.
type Report struct {
	Kernel string // its name
	Asked  int    // the number of requested scenarios
	// Guest are the missing symbols without which no guest runs, and so no scenario.
	Guest []required.Need
	// Lost are the scenarios that need missing symbols, the largest group first.
	Lost []Group
	// Refused are the scenarios whose needs are built in but may not be used.
	Refused []Refusal
	// GuestSettings are settings of its configuration that change the behaviour of every guest,
	// such as CMDLINE or PANIC_ON_OOPS.
	GuestSettings []kernels.Setting
	// Unmet are the requested symbols that its Kconfig did not accept; see kernels.Kernel.
	Unmet []kconfig.Unmet
}

// Group is the scenarios that are skipped because of the same missing symbols.
type Group struct {
	Missing   []string // sorted
	Scenarios []string // ids, in the requested order
}

// Impossible returns why a scenario is skipped on a kernel, according to its
// configuration; "" if the configuration gives no reason.
func Impossible(k *kernels.Kernel, i scenario.Info) string {
	if i.Skipped != "" {
		return i.Skipped
	}
	if missing := k.Lacks(required.Symbols()...); len(missing) > 0 {
		return fmt.Sprintf("no guest runs on %s: it does not have %s", k.Name, symbols(missing))
	}
	if missing := lacks(k, i.Needs); len(missing) > 0 {
		return fmt.Sprintf("%s does not have %s", k.Name, symbols(missing))
	}
	return cmp.Or(guestDenial(k), unusable(k, i.Needs))
}

// lacks returns those of the symbols that the kernel does not have, without CONFIG_.
func lacks(k *kernels.Kernel, needs []string) []string {
	missing := k.Lacks(needs...)
	for i := range missing {
		missing[i] = strings.TrimPrefix(missing[i], prefix)
	}
	return missing
}

// Of returns the report for a kernel. Scenarios that are skipped on every kernel are not
// counted.
func Of(k *kernels.Kernel, scenarios []scenario.Info) Report {
	scenarios = slices.DeleteFunc(slices.Clone(scenarios), func(i scenario.Info) bool { return i.Skipped != "" })
	r := Report{Kernel: k.Name, Asked: len(scenarios), Unmet: k.Unmet, GuestSettings: kernels.GuestSettings(k.Config)}
	guests := k.Lacks(required.Symbols()...)
	for _, n := range required.Needs() {
		if slices.Contains(guests, n.Symbol) {
			r.Guest = append(r.Guest, n)
		}
	}
	guest := guestDenial(k)
	at := map[string]int{} // a group's index in r.Lost
	for _, s := range scenarios {
		missing := lacks(k, s.Needs)
		if len(missing) == 0 {
			if why := cmp.Or(guest, unusable(k, s.Needs)); why != "" {
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

// prefix begins a symbol in a configuration file, and optionally in a need.
const prefix = "CONFIG_"

// Count returns how many scenarios are skipped, not counting the symbols that every
// guest needs.
func (r Report) Count() (n int) {
	for _, g := range r.Lost {
		n += len(g.Scenarios)
	}
	for _, x := range r.Refused {
		n += len(x.Scenarios)
	}
	return n
}

// Missing returns all missing symbols, sorted.
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

// String returns the report as lines of text.
func (r Report) String() string {
	var b strings.Builder
	switch n := r.Count(); {
	case len(r.Guest) > 0:
		fmt.Fprintf(&b, "%s: no guest can run, because it does not have\n", r.Kernel)
		width := 0
		for _, n := range r.Guest {
			width = max(width, len(n.Symbol))
		}
		for _, n := range r.Guest {
			fmt.Fprintf(&b, "  %s%-*s  %s\n", prefix, width, n.Symbol, n.For)
		}
		if r.Count() > 0 {
			fmt.Fprintf(&b, "with these, it would skip %d of %d scenarios\n", n, r.Asked)
		}
	case n == 0:
		fmt.Fprintf(&b, "%s: has the needs of all %d scenarios\n", r.Kernel, r.Asked)
	default:
		fmt.Fprintf(&b, "%s: skips %d of %d scenarios\n", r.Kernel, n, r.Asked)
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
		fmt.Fprintf(&b, "to run all of them, build it with %s\n", symbols(missing))
	}
	for _, s := range r.GuestSettings {
		fmt.Fprintf(&b, "%s\n", steers(s))
	}
	for _, u := range r.Unmet {
		fmt.Fprintf(&b, "its Kconfig does not accept %s\n", u)
	}
	return b.String()
}

func steers(s kernels.Setting) string {
	return fmt.Sprintf("built with %s, which affects every guest and may change the observations", s)
}

func symbols(names []string) string { return prefix + strings.Join(names, ", "+prefix) }
