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
	// catalogueRow is a row of a number: what stands before its last column, and that.
	catalogueRow = regexp.MustCompile(`(?m)^(\| ([ABCDEGS]\d+[a-z]?)\b.*) \| ([^|\n]*) \|$`)
	// catalogueNumber is a number where another row is referred to.
	catalogueNumber = regexp.MustCompile(`\b[ABCDEGS]\d+[a-z]?\b`)
	// reason says why a number, or a part of it, is run by no scenario.
	reason = regexp.MustCompile(`^(not written yet|not done: \S|see [ABCDES]\d)`)
)

// catalogueSize is how many numbers the catalogue has: 130 predictions, and
// four gaps that the change left.
const catalogueSize = 130 + 4

// TestCatalogue holds the catalogue against the suites: every number has the
// scenarios that carry it or a reason, both only where the reason is one for a
// part of it, and every scenario's number is there.
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
			t.Errorf("%s is there twice", m[2])
		}
		seen[m[2]] = true
	}
	if len(seen) != catalogueSize {
		t.Errorf("it has %d numbers, not %d", len(seen), catalogueSize)
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
		// What stands behind the names is of a part; a number without names has it alone.
		ids, why := "", last
		if strings.HasPrefix(last, "`") {
			ids, why, _ = strings.Cut(last, "; ")
		}
		switch {
		case want == "" && ids != "":
			t.Errorf("%s is run by no scenario any more, and the catalogue says %q; write the reason instead", number, last)
			return row
		case want != "" && ids == "":
			why = "" // it was for all of it
		}
		if (want == "" || why != "") && !reason.MatchString(why) {
			t.Errorf("%s has %q for a reason; write \"not written yet\", \"not done: …\" or \"see A01\" into its last column", number, why)
		}
		if strings.HasPrefix(why, "see ") {
			for _, n := range catalogueNumber.FindAllString(why, -1) {
				if !seen[n] {
					t.Errorf("%s says %q, and there is no %s", number, why, n)
				}
			}
		}
		if want == ids {
			return row
		}
		if !*update {
			t.Errorf("%s is run by %s, and the catalogue says %q; run go test ./docs -update", number, want, last)
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
