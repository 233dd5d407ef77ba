package docs_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const catalogueFile = "catalogue.md"

// catalogueRow is a row of a number: what stands before its last column, and that.
var catalogueRow = regexp.MustCompile(`(?m)^(\| ([ABCDES]\d+[a-z]?)\b.*) \| ([^|\n]*) \|$`)

// catalogueSize is how many numbers the catalogue has.
const catalogueSize = 128

// TestCatalogue holds the catalogue against the suites: every number has the
// scenarios that carry it, or else a reason; every scenario's number is there.
func TestCatalogue(t *testing.T) {
	text, err := os.ReadFile(catalogueFile)
	if err != nil {
		t.Fatal(err)
	}
	carried := map[string][]string{}
	for _, s := range listed(t) {
		for _, n := range s.Catalogue {
			carried[n] = append(carried[n], s.ID)
		}
	}
	seen := map[string]bool{}
	now := catalogueRow.ReplaceAllStringFunc(string(text), func(row string) string {
		m := catalogueRow.FindStringSubmatch(row)
		before, number, last := m[1], m[2], m[3]
		if seen[number] {
			t.Errorf("%s is there twice", number)
		}
		seen[number] = true
		slices.Sort(carried[number])
		want := ""
		if len(carried[number]) > 0 {
			want = "`" + strings.Join(carried[number], "`, `") + "`"
		}
		switch {
		case want == "" && (last == "" || strings.HasPrefix(last, "`")):
			t.Errorf("%s has no scenario and no reason; write one into its last column (it has %q)", number, last)
		case want != "" && want != last && *update:
			return before + " | " + want + " |"
		case want != "" && want != last:
			t.Errorf("%s is run by %s, and the catalogue says %q; run go test ./docs -update", number, want, last)
		}
		return row
	})
	if len(seen) != catalogueSize {
		t.Errorf("it has %d numbers, not %d", len(seen), catalogueSize)
	}
	for n, ids := range carried {
		if !seen[n] {
			t.Errorf("%v have the number %s, which is not in the catalogue", ids, n)
		}
	}
	if *update && now != string(text) {
		if err := os.WriteFile(catalogueFile, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
