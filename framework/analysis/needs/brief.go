package needs

import (
	"fmt"
	"slices"
	"strings"
)

// named is the number of scenarios that a line of Brief lists at most; String lists all.
const named = 3

// Brief returns the report with one line for each cause: symbols that skip the same
// scenarios are one. It is empty if no scenario is skipped, the kernel's Kconfig accepted
// all requested symbols, and no setting affects the guests.
func (r Report) Brief() (lines []string) {
	if len(r.Guest) > 0 {
		var missing []string
		for _, n := range r.Guest {
			missing = append(missing, n.Symbol)
		}
		return []string{fmt.Sprintf("%s does not have %s: no guest runs, so all %d scenarios are skipped",
			r.Kernel, symbols(missing), r.Asked)}
	}
	refused := map[string]string{} // texts by symbol
	for _, u := range r.Unmet {
		refused[u.Symbol] = u.String()
	}
	var lost []*cause
	for _, g := range r.Lost {
		for _, s := range g.Missing {
			lost = add(lost, s, g.Scenarios)
		}
	}
	for _, u := range r.Unmet {
		lost = add(lost, u.Symbol, nil) // perhaps no scenario needs it
	}
	var merged []*cause
	for _, c := range lost {
		same := slices.IndexFunc(merged, func(m *cause) bool {
			return (refused[m.symbols[0]] == "") == (refused[c.symbols[0]] == "") && slices.Equal(m.scenarios, c.scenarios)
		})
		if same < 0 {
			merged = append(merged, c)
			continue
		}
		merged[same].symbols = append(merged[same].symbols, c.symbols...)
	}
	slices.SortStableFunc(merged, func(a, b *cause) int { return len(b.scenarios) - len(a.scenarios) })
	for _, c := range merged {
		what := "does not have " + symbols(c.symbols)
		if refused[c.symbols[0]] != "" {
			var texts []string
			for _, s := range c.symbols {
				texts = append(texts, refused[s])
			}
			what = "has a Kconfig that does not accept " + strings.Join(texts, ", ")
		}
		lines = append(lines, fmt.Sprintf("%s %s: this skips %s", r.Kernel, what, cost(c.scenarios, r.Asked)))
	}
	for _, x := range r.Refused {
		lines = append(lines, fmt.Sprintf("%s: this skips %s", x.Why, cost(x.Scenarios, r.Asked)))
	}
	for _, s := range r.GuestSettings {
		lines = append(lines, r.Kernel+": "+steers(s))
	}
	return lines
}

// cause is missing symbols and the scenarios that they skip, in the requested order.
type cause struct{ symbols, scenarios []string }

func add(all []*cause, symbol string, scenarios []string) []*cause {
	for _, c := range all {
		if c.symbols[0] == symbol {
			c.scenarios = append(c.scenarios, scenarios...)
			return all
		}
	}
	return append(all, &cause{[]string{symbol}, slices.Clone(scenarios)})
}

func cost(scenarios []string, of int) string {
	switch {
	case len(scenarios) == 0:
		return fmt.Sprintf("none of %d scenarios", of)
	case len(scenarios) > named:
		return fmt.Sprintf("%d of %d scenarios: %s, …", len(scenarios), of, strings.Join(scenarios[:named], ", "))
	}
	return fmt.Sprintf("%d of %d scenarios: %s", len(scenarios), of, strings.Join(scenarios, ", "))
}
