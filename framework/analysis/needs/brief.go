package needs

import (
	"fmt"
	"slices"
	"strings"
)

// named is how many scenarios a line of Brief names; String names all.
const named = 3

// Brief is the report in a line for each cause: symbols that cost the same
// scenarios stand together. It is empty where nothing is lost and all that was asked
// of the kernel's Kconfig came out so, and the kernel does not steer its guests.
func (r Report) Brief() (lines []string) {
	if len(r.Guest) > 0 {
		var lacks []string
		for _, n := range r.Guest {
			lacks = append(lacks, n.Symbol)
		}
		return []string{fmt.Sprintf("%s lacks %s: without that no guest runs, which costs all of %d scenarios", r.Kernel, symbols(lacks), r.Asked)}
	}
	refused := map[string]string{} // by symbol, how a line names it
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
		lost = add(lost, u.Symbol, nil) // it may cost nothing
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
		what := "lacks " + symbols(c.symbols)
		if refused[c.symbols[0]] != "" {
			var texts []string
			for _, s := range c.symbols {
				texts = append(texts, refused[s])
			}
			what = "has a Kconfig that does not take " + strings.Join(texts, ", ")
		}
		lines = append(lines, fmt.Sprintf("%s %s: that costs %s", r.Kernel, what, cost(c.scenarios, r.Asked)))
	}
	for _, x := range r.Refused {
		lines = append(lines, fmt.Sprintf("%s: that costs %s", x.Why, cost(x.Scenarios, r.Asked)))
	}
	for _, s := range r.Steered {
		lines = append(lines, r.Kernel+": "+steers(s))
	}
	return lines
}

// cause is what is missing, and the scenarios that it costs, in the order asked for.
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
