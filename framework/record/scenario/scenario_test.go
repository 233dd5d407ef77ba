package scenario

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	if diff := cmp.Diff(want, labels); diff != "" {
		t.Errorf("labels mismatch (-want +got):\n%s", diff)
	}
	for _, l := range labels {
		if _, err := types.ValidateAndCleanupLabel(l, types.CodeLocation{}); err != nil {
			t.Errorf("Ginkgo refuses the label %q: %v", l, err)
		}
	}
	if id := IDOf(append([]string{"slow"}, labels...)); id != "dax/ext4/shared-read" {
		t.Errorf("got the ID %q of the labels, want dax/ext4/shared-read", id)
	}
	if id := IDOf([]string{"slow", "idle:x"}); id != "" {
		t.Errorf("labels of no scenario: got the ID %q, want none", id)
	}
}

func TestCheckID(t *testing.T) {
	for _, id := range []string{"", "dax", "dax/", "/dax", "dax//x", "Dax/x", "dax/x y", "dax/x.y", "dax/x_y", "dax/x,y"} {
		if CheckID(id) == nil {
			t.Errorf("ID %q: got no error, want one", id)
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
				t.Errorf("%v: got %s taken %t, want %t", asked, id, taken, !taken)
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
		t.Errorf("got %+v, found %t, error %v; want the one of the list", got, found, err)
	}
	if _, found, err := ReadList("PASS\n"); found || err != nil {
		t.Errorf("a list in nothing: got found %t, error %v; want neither", found, err)
	}
	if _, found, err := ReadList(strings.TrimSuffix(printed, "]\n")); !found || err == nil {
		t.Errorf("half a list: got found %t, error %v; want both", found, err)
	}
}

func FuzzReadList(f *testing.F) {
	printed, _ := PrintList([]Info{{ID: "a/b"}})
	f.Add(printed)
	f.Fuzz(func(t *testing.T, printed string) { ReadList(printed) })
}
