package framework

import (
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/scenario"
)

func with(traits ...Trait) (i scenario.Info) {
	for _, t := range traits {
		t(&i)
	}
	return i
}

// A need that two traits list appears once.
func TestTraits(t *testing.T) {
	got := with(NeedsDAX(NFIT, Ext4), NeedsHugeDAX(), NeedsPageMap(), Needs("EXT4_FS"), Exactly(), Lead(), Changes(change.DaxFolios, change.DaxFaultHWPoison),
		Catalogue("A01"), Catalogue("B02"), Impossible("why (not)"))
	want := scenario.Info{
		Needs:   []string{"BLK_DEV_PMEM", "ACPI_NFIT", "NVDIMM_PFN", "EXT4_FS", "FS_DAX", "FS_DAX_PMD", "PROC_PAGE_MONITOR"},
		Changes: []string{"dax_folios", "dax_fault_hwpoison"}, Lead: true, TCG: "a machine check lands on the very access that consumes it under TCG only",
		Catalogue: []string{"A01", "B02"}, Skipped: "why (not)",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for p, want := range map[Provider]string{E820: "BLK_DEV_PMEM X86_PMEM_LEGACY XFS_FS", Virtio: "BLK_DEV_PMEM VIRTIO_PMEM XFS_FS"} {
		if i := with(NeedsDisk(p, XFSReflink), NeedsDisk(p, XFS)); strings.Join(i.Needs, " ") != want {
			t.Errorf("%s: got the needs %v, want %s", p, i.Needs, want)
		}
	}
}

func TestScenarioRefusesAnID(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it was accepted")
		}
	}()
	Scenario("Dax/x")
}

// TestSuiteWithAnIDTwice runs a suite with a duplicate id, and requests its list.
func TestSuiteWithAnIDTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a suite; -short leaves it out")
	}
	binary := filepath.Join(t.TempDir(), "twice.test")
	if out, err := exec.Command("go", "test", "-c", "-trimpath", "-o", binary, "./testdata/twice").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, args := range [][]string{{"--faultline.list"}, {"-test.short"}, {}} {
		out, err := exec.Command(binary, args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "two scenarios have the id two/same; give one of them another id") ||
			strings.Count(string(out), "twice_test.go:") < 2 {
			t.Errorf("%v: got error %v, want that two scenarios have the id two/same: %s", args, err, out)
		}
	}
}
