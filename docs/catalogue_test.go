package docs_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const catalogueFile = "reference/catalogue.md"

var (
	// catalogueRow matches a row with a number: the text before its last column, and that
	// column.
	catalogueRow = regexp.MustCompile(`(?m)^(\| ([ABCDEGS]\d+[a-z]?)\b.*) \| ([^|\n]*) \|$`)
	// catalogueNumber matches a reference to another row.
	catalogueNumber = regexp.MustCompile(`\b[ABCDEGS]\d+[a-z]?\b`)
	// reason matches why no scenario runs a number, or a part of it.
	reason = regexp.MustCompile(`^(not written yet|not done: \S|see [ABCDES]\d)`)
)

// catalogueSize is the number of numbers in the catalogue: 130 predictions, and
// four gaps that the change left.
const catalogueSize = 130 + 4

// TestCatalogue compares the catalogue with the suites: every number has either the
// scenarios that run it or a reason, or both if the reason is that of a part, and the
// catalogue has the number of every scenario.
func TestCatalogue(t *testing.T) {
	text, err := os.ReadFile(catalogueFile)
	if err != nil {
		t.Fatal(err)
	}
	carried := map[string][]string{}
	for _, s := range listed(t) {
		for _, n := range s.Catalogue {
			if s.NotDoable != "" {
				continue // the catalogue has the reason
			}
			carried[n] = append(carried[n], s.ID)
		}
	}
	rows := catalogueRow.FindAllStringSubmatch(string(text), -1)
	seen := map[string]bool{}
	for _, m := range rows {
		if seen[m[2]] {
			t.Errorf("%s occurs twice", m[2])
		}
		seen[m[2]] = true
	}
	if len(seen) != catalogueSize {
		t.Errorf("%d numbers, want %d", len(seen), catalogueSize)
	}
	for n, ids := range carried {
		if !seen[n] {
			t.Errorf("%v have the number %s, which is not in the catalogue", ids, n)
		}
	}

	now := catalogueRow.ReplaceAllStringFunc(string(text), func(row string) string {
		m := catalogueRow.FindStringSubmatch(row)
		before, number, last := m[1], m[2], m[3]
		slices.Sort(carried[number])
		want := ""
		if len(carried[number]) > 0 {
			want = "`" + strings.Join(carried[number], "`, `") + "`"
		}
		// A reason after the names is that of a part; a number without names has only a reason.
		ids, why := "", last
		if strings.HasPrefix(last, "`") {
			ids, why, _ = strings.Cut(last, "; ")
		}
		switch {
		case want == "" && ids != "":
			t.Errorf("no scenario runs %s any more, and the catalogue has %q; write the reason instead", number, last)
			return row
		case want != "" && ids == "":
			why = "" // it was the reason of the whole number
		}
		if (want == "" || why != "") && !reason.MatchString(why) {
			t.Errorf("%s has the reason %q; "+
				"write \"not written yet\", \"not done: …\" or \"see A01\" into its last column", number, why)
		}
		if strings.HasPrefix(why, "see ") {
			for _, n := range catalogueNumber.FindAllString(why, -1) {
				if !seen[n] {
					t.Errorf("%s has %q, and there is no %s", number, why, n)
				}
			}
		}
		if want == ids {
			return row
		}
		if !*update {
			t.Errorf("%s is run by %s, and the catalogue has %q; run go test ./docs -update", number, want, last)
			return row
		}
		if why != "" {
			want += "; " + why
		}
		return before + " | " + want + " |"
	})
	if *update && now != string(text) {
		if err := os.WriteFile(catalogueFile, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
