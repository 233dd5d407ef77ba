package docs_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/catalogue"
)

const catalogueFile = "reference/catalogue.md"

var (
	// catalogueNumber matches a reference to another row.
	catalogueNumber = regexp.MustCompile(`\b[ABCDEGST]\d+[a-z]?\b`)
	// reason matches why no scenario runs a number, or a part of it.
	reason = regexp.MustCompile(`^(not written yet|not done: \S|see [ABCDEST]\d)`)
	// catalogueTable matches a table of the page.
	catalogueTable = regexp.MustCompile(`(?m)(^\|.*\n)+`)
)

// catalogueSize is the number of numbers in the catalogue: 130 predictions, four gaps that
// the change left, two cases that the predictions left out, and 18 reports.
const catalogueSize = 130 + 4 + 2 + 18

// runBy is the page's column that has no counterpart in the data.
const runBy = "run by"

// TestCatalogue compares the catalogue with the suites: every number has either the
// scenarios that run it or a reason, or both if the reason is that of a part, and the
// catalogue has the number of every scenario. The tables of the page are those of the
// data, with the scenarios; -update writes them.
func TestCatalogue(t *testing.T) {
	carried := map[string][]string{}
	for _, s := range listed(t) {
		for _, n := range s.Catalogue {
			if s.Skipped == "" { // else the catalogue has the reason
				carried[n] = append(carried[n], s.ID)
			}
		}
	}
	numbers := 0
	for _, table := range catalogue.Tables() {
		for _, e := range table.Entries {
			n := catalogueNumber.FindString(e[table.Columns[0]])
			if n == "" || !strings.HasPrefix(e[table.Columns[0]], n) {
				continue
			}
			numbers++
			why := e[catalogue.Reason]
			if len(carried[n]) == 0 && why == "" || why != "" && !reason.MatchString(why) {
				t.Errorf("%s is run by %v and has the reason %q; give it \"not written yet\", \"not done: …\" or \"see A01\" in catalogue.yaml",
					n, carried[n], why)
			}
			if strings.HasPrefix(why, "see ") {
				for _, other := range catalogueNumber.FindAllString(why, -1) {
					if _, ok := catalogue.Find(other); !ok {
						t.Errorf("%s has %q, and there is no %s", n, why, other)
					}
				}
			}
		}
	}
	if numbers != catalogueSize {
		t.Errorf("got %d numbers in the catalogue, want %d", numbers, catalogueSize)
	}
	for n, ids := range carried {
		if _, ok := catalogue.Find(n); !ok {
			t.Errorf("%v have the number %s, which is not in the catalogue", ids, n)
		}
	}

	text, err := os.ReadFile(catalogueFile)
	if err != nil {
		t.Fatal(err)
	}
	tables, at := catalogue.Tables(), 0
	now := catalogueTable.ReplaceAllStringFunc(string(text), func(old string) string {
		at++
		if at > len(tables) {
			return old
		}
		return page(tables[at-1], carried)
	})
	if at != len(tables) {
		t.Fatalf("%s: got %d tables, want %d, as in the data", catalogueFile, at, len(tables))
	}
	switch {
	case now == string(text):
	case *update:
		if err := os.WriteFile(catalogueFile, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s differs from framework/catalogue/catalogue.yaml and the suites; run go test ./docs -run Catalogue -update:\n%s",
			catalogueFile, firstDifference(string(text), now))
	}
}

// page returns a table as Markdown.
func page(table catalogue.Table, carried map[string][]string) string {
	columns := table.Columns
	numbered := slices.ContainsFunc(table.Entries, func(e catalogue.Entry) bool {
		return e[catalogue.Reason] != "" || carried[catalogueNumber.FindString(e[columns[0]])] != nil
	})
	if numbered {
		columns = append(slices.Clone(columns), runBy)
	}
	var b strings.Builder
	row := func(cells []string) {
		b.WriteByte('|')
		for _, c := range cells {
			b.WriteString(strings.TrimSuffix(" "+c, " ") + " |")
		}
		b.WriteByte('\n')
	}
	row(columns)
	b.WriteString(strings.Repeat("|---", len(columns)) + "|\n")
	for _, e := range table.Entries {
		var cells []string
		for _, c := range columns {
			text := e[c]
			if c == runBy && numbered {
				text = e[catalogue.Reason]
				if ids := carried[catalogueNumber.FindString(e[columns[0]])]; len(ids) > 0 {
					slices.Sort(ids)
					text = strings.TrimSuffix("`"+strings.Join(ids, "`, `")+"`; "+text, "; ")
				}
			}
			cells = append(cells, strings.ReplaceAll(text, "|", `\|`))
		}
		row(cells)
	}
	return b.String()
}
