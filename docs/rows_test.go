package docs_test

import (
	"os"
	"strings"
	"testing"

	"github.com/faultline/faultline/docs"
)

// TestCatalogueRows checks that docs.Catalogue returns every row of the catalogue.
func TestCatalogueRows(t *testing.T) {
	text, err := os.ReadFile(catalogueFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range catalogueRow.FindAllStringSubmatch(string(text), -1) {
		r, ok := docs.Catalogue(m[2])
		if !ok || r.Table == "" || !strings.HasPrefix(m[1], "| "+strings.ReplaceAll(r.Cells[0].Text, "|", `\|`)) {
			t.Errorf("%s: %+v", m[2], r)
		}
		if last := r.Cells[len(r.Cells)-1]; last.Column != "run by" || last.Text != m[3] {
			t.Errorf("%s: %+v", m[2], last)
		}
	}
	r, _ := docs.Catalogue("A06")
	if r.Table != "A. DAX faults (the differential)" || r.Cells[1] != (docs.Cell{Column: "setup / inject / access", Text: "MAP_SHARED_VALIDATE|MAP_SYNC store"}) {
		t.Errorf("%+v", r)
	}
	if r, ok := docs.Catalogue("A0"); ok {
		t.Errorf("%+v", r)
	}
	if found := docs.Mentioning("38607c62b34b"); len(found) != 1 || found[0].Number() != "" || found[0].Cells[0].Text != "6.15" {
		t.Errorf("%+v", found)
	}
	if found := docs.Mentioning(""); found != nil {
		t.Errorf("%+v", found)
	}
}
