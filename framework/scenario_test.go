package framework

import (
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/faultline/faultline/framework/change"
)

// spec is the report of a spec with the labels that Scenario gives.
func spec(doc string, decorators []any) ginkgo.SpecReport {
	r := ginkgo.SpecReport{LeafNodeText: doc, LeafNodeLocation: types.CodeLocation{FileName: doc + ".go", LineNumber: 7}}
	for _, d := range decorators {
		if l, ok := d.(ginkgo.Labels); ok {
			r.LeafNodeLabels = append(r.LeafNodeLabels, l...)
		}
	}
	return r
}

func TestScenarioComesBackFromItsLabels(t *testing.T) {
	decorators := Scenario("dax/ext4/shared-read", Needs("FS_DAX"), Needs("EXT4_FS"), Follows(change.DaxFaultHWPoison),
		Catalogue("A01"), NotDoable("needs a machine check (see /dev/mcelog), and luck"))
	info, ok := describe("dax", spec("tells a reader", decorators))
	if !ok {
		t.Fatal("it is no scenario")
	}
	labels := info.Labels
	info.Labels = nil
	want := Info{
		ID: "dax/ext4/shared-read", Doc: "tells a reader", Suite: "dax", Needs: []string{"FS_DAX", "EXT4_FS"},
		Changes: []string{"dax_fault_hwpoison"}, Catalogue: []string{"A01"},
		NotDoable: "needs a machine check [see .dev.mcelog]; and luck",
	}
	if !reflect.DeepEqual(info, want) {
		t.Errorf("got  %+v\nwant %+v", info, want)
	}
	for _, l := range labels {
		if _, err := types.ValidateAndCleanupLabel(l, types.CodeLocation{}); err != nil {
			t.Errorf("Ginkgo refuses the label %q: %v", l, err)
		}
	}
	if info, ok := describe("dax", spec("is an ordinary spec", []any{ginkgo.Labels{"slow"}})); ok {
		t.Errorf("a spec without an id is taken for %+v", info)
	}
}

// A reason, and a need that two traits name, come back as one.
func TestTraits(t *testing.T) {
	info, _ := describe("mce", spec("x", Scenario("mce/ext4/x", NeedsDAX(NFIT, Ext4), NeedsHugeDAX(), NeedsPageMap(), Exactly(), Lead(), Follows(change.DaxFolios, change.DaxFaultHWPoison))))
	want := Info{
		ID: "mce/ext4/x", Doc: "x", Suite: "mce", Needs: []string{"BLK_DEV_PMEM", "ACPI_NFIT", "NVDIMM_PFN", "EXT4_FS", "FS_DAX", "FS_DAX_PMD", "PROC_PAGE_MONITOR"},
		Changes: []string{"dax_folios", "dax_fault_hwpoison"}, Lead: true, TCG: "a machine check lands on the very access that consumes it under TCG only",
	}
	info.Labels = nil
	if !reflect.DeepEqual(info, want) {
		t.Errorf("got  %+v\nwant %+v", info, want)
	}
	for p, want := range map[Provider]string{E820: "BLK_DEV_PMEM X86_PMEM_LEGACY XFS_FS", Virtio: "BLK_DEV_PMEM VIRTIO_PMEM XFS_FS"} {
		if info, _ := describe("dax", spec("x", Scenario("dax/xfs/x", NeedsDisk(p, XFSReflink), NeedsDisk(p, XFS)))); strings.Join(info.Needs, " ") != want {
			t.Errorf("%s needs %v, not %s", p, info.Needs, want)
		}
	}
}

func TestScenarioRefusesIDs(t *testing.T) {
	for _, id := range []string{"", "dax", "dax/", "/dax", "dax//x", "Dax/x", "dax/x y", "dax/x.y", "dax/x_y", "dax/x,y"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("id %q was taken", id)
				}
			}()
			Scenario(id)
		}()
	}
	Scenario("dax/ext4/2m-bad")
}

func TestFilterTakesExactlyTheAskedFor(t *testing.T) {
	all := []string{"dax/ext4/read", "dax/ext4/read-span", "dax/xfs/read", "ram/read"}
	for _, asked := range [][]string{{"dax/ext4/read"}, {"ram/read", "dax/ext4/read-span"}, all} {
		filter, err := types.ParseLabelFilter(Filter(asked))
		if err != nil {
			t.Fatalf("Ginkgo refuses %q: %v", Filter(asked), err)
		}
		var taken []string
		for _, id := range all {
			if r := spec(id, Scenario(id, Catalogue("A01"))); filter(r.Labels()) {
				taken = append(taken, id)
			}
		}
		want := map[string]bool{}
		for _, id := range asked {
			want[id] = true
		}
		if len(taken) != len(want) {
			t.Errorf("%v takes %v", asked, taken)
		}
		for _, id := range taken {
			if !want[id] {
				t.Errorf("%v takes %s", asked, id)
			}
		}
	}
}

func TestScenariosRefusesAnIDTwice(t *testing.T) {
	specs := []ginkgo.SpecReport{
		spec("one", Scenario("a/b")), spec("ordinary", nil), spec("two", Scenario("a/c")),
	}
	infos, err := scenarios("s", specs)
	if err != nil || len(infos) != 2 {
		t.Errorf("%+v, %v", infos, err)
	}
	_, err = scenarios("s", append(specs, spec("three", Scenario("a/b"))))
	if err == nil || !strings.Contains(err.Error(), "a/b") || !strings.Contains(err.Error(), "one.go:7") || !strings.Contains(err.Error(), "three.go:7") {
		t.Errorf("%v", err)
	}
}

// TestSuiteWithAnIDTwice runs such a suite, and asks it for its list.
func TestSuiteWithAnIDTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a suite; -short leaves it out")
	}
	binary := filepath.Join(t.TempDir(), "twice.test")
	if out, err := exec.Command("go", "test", "-c", "-o", binary, "./testdata/twice").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, args := range [][]string{{"--faultline.list"}, {"-test.short"}, {}} {
		out, err := exec.Command(binary, args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "two scenarios of the suite twice have the id two/same; give one of them another") ||
			strings.Count(string(out), "twice_test.go:") < 2 {
			t.Errorf("%v: %v: %s", args, err, out)
		}
	}
}
