package scenario

import (
	"slices"
	"strings"
	"testing"

	"github.com/onsi/ginkgo/v2/types"
)

func TestLabels(t *testing.T) {
	labels := LabelsOf(Info{
		ID: "dax/ext4/shared-read", Needs: []string{"FS_DAX", "EXT4_FS"}, Changes: []string{"dax_fault_hwpoison"}, Catalogue: []string{"A01"},
		Skipped: "needs a machine check (see /dev/mcelog), and luck", Lead: true, TCG: "exact",
	})
	want := []string{
		"id:dax.ext4.shared-read", "needs:FS_DAX", "needs:EXT4_FS", "change:dax_fault_hwpoison", "catalogue:A01",
		"skipped:needs a machine check [see .dev.mcelog]; and luck", "lead:true", "tcg:exact",
	}
	if !slices.Equal(labels, want) {
		t.Errorf("%q", labels)
	}
	for _, l := range labels {
		if _, err := types.ValidateAndCleanupLabel(l, types.CodeLocation{}); err != nil {
			t.Errorf("Ginkgo refuses the label %q: %v", l, err)
		}
	}
	if id := IDOf(append([]string{"slow"}, labels...)); id != "dax/ext4/shared-read" {
		t.Errorf("the labels have the id %q", id)
	}
	if id := IDOf([]string{"slow", "idle:x"}); id != "" {
		t.Errorf("labels of no scenario have the id %q", id)
	}
}

func TestCheckID(t *testing.T) {
	for _, id := range []string{"", "dax", "dax/", "/dax", "dax//x", "Dax/x", "dax/x y", "dax/x.y", "dax/x_y", "dax/x,y"} {
		if CheckID(id) == nil {
			t.Errorf("id %q was accepted", id)
		}
	}
	if err := CheckID("dax/ext4/2m-bad"); err != nil {
		t.Error(err)
	}
}

func TestFilterTakesExactlyTheAskedFor(t *testing.T) {
	all := []string{"dax/ext4/read", "dax/ext4/read-span", "dax/xfs/read", "ram/read"}
	for _, asked := range [][]string{{"dax/ext4/read"}, {"ram/read", "dax/ext4/read-span"}, all} {
		filter, err := types.ParseLabelFilter(Filter(asked))
		if err != nil {
			t.Fatalf("Ginkgo refuses %q: %v", Filter(asked), err)
		}
		for _, id := range all {
			if taken := filter(LabelsOf(Info{ID: id, Catalogue: []string{"A01"}})); taken != slices.Contains(asked, id) {
				t.Errorf("%v takes %s: %t", asked, id, taken)
			}
		}
	}
}

func TestList(t *testing.T) {
	list := []Info{{ID: "a/b", Doc: "says\nmore", Skipped: "(why), /dev/x"}}
	printed, err := PrintList(list)
	if err != nil {
		t.Fatal(err)
	}
	got, found, err := ReadList("the output of a runner" + printed + "PASS\n")
	if err != nil || !found || len(got) != 1 || got[0].Doc != list[0].Doc || got[0].Skipped != list[0].Skipped {
		t.Errorf("%+v, %t, %v", got, found, err)
	}
	if _, found, err := ReadList("PASS\n"); found || err != nil {
		t.Errorf("a list in nothing: %t, %v", found, err)
	}
	if _, found, err := ReadList(strings.TrimSuffix(printed, "]\n")); !found || err == nil {
		t.Errorf("half a list: %t, %v", found, err)
	}
}

func FuzzReadList(f *testing.F) {
	printed, _ := PrintList([]Info{{ID: "a/b"}})
	f.Add(printed)
	f.Fuzz(func(t *testing.T, printed string) { ReadList(printed) })
}
