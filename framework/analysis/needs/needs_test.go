package needs

import (
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/guest/required"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/kconfig"
)

// kernel returns one with a guest's needs, except some symbols, and with some others.
func kernel(t *testing.T, without map[string]bool, with ...string) *kernels.Kernel {
	t.Helper()
	text := ""
	for _, n := range required.Needs() {
		if !without[n.Symbol] {
			text += "CONFIG_" + n.Symbol + "=y\n"
		}
	}
	for _, s := range with {
		text += "CONFIG_" + s + "=m\n"
	}
	c, err := kconfig.ParseBytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &kernels.Kernel{Name: "K", Config: c}
}

var scenarios = []scenario.Info{
	{ID: "dax/ext4/read", Needs: []string{"FS_DAX", "EXT4_FS"}},
	{ID: "dax/xfs/read", Needs: []string{"FS_DAX", "XFS_FS"}},
	{ID: "mce/ext4/read", Needs: []string{"X86_MCE", "FS_DAX", "MEMORY_FAILURE"}},
	{ID: "mce/anon/read", Needs: []string{"CONFIG_MEMORY_FAILURE", "X86_MCE"}},
	{ID: "mce/anon/write", Needs: []string{"X86_MCE", "CONFIG_MEMORY_FAILURE", "MEMORY_FAILURE"}},
	{ID: "ram/anon/read", Needs: nil},
}

func TestOf(t *testing.T) {
	all := []string{"FS_DAX", "EXT4_FS", "XFS_FS", "X86_MCE", "MEMORY_FAILURE"}
	for name, c := range map[string]struct {
		kernel *kernels.Kernel
		count  int
		text   string
	}{
		"nothing is lost": {kernel(t, nil, all...), 0, "K: has the needs of all 6 scenarios\n"},
		"one symbol": {kernel(t, nil, "FS_DAX", "EXT4_FS", "X86_MCE", "MEMORY_FAILURE"), 1, `K: skips 1 of 6 scenarios
1 without CONFIG_XFS_FS
  dax/xfs/read
to run all of them, build it with CONFIG_XFS_FS
`},
		"several, in one go": {kernel(t, nil, "FS_DAX", "EXT4_FS"), 4, `K: skips 4 of 6 scenarios
3 without CONFIG_MEMORY_FAILURE, CONFIG_X86_MCE
  mce/ext4/read
  mce/anon/read
  mce/anon/write
1 without CONFIG_XFS_FS
  dax/xfs/read
to run all of them, build it with CONFIG_MEMORY_FAILURE, CONFIG_X86_MCE, CONFIG_XFS_FS
`},
		"no guest": {kernel(t, map[string]bool{"VIRTIO_NET": true, "PCI": true}, all[1:]...), 3, `K: no guest can run, because it does not have
  CONFIG_PCI         the bus of the virtio devices
  CONFIG_VIRTIO_NET  SSH, over which the agent comes
with these, it would skip 3 of 6 scenarios
3 without CONFIG_FS_DAX
  dax/ext4/read
  dax/xfs/read
  mce/ext4/read
to run all of them, build it with CONFIG_FS_DAX, CONFIG_PCI, CONFIG_VIRTIO_NET
`},
		"no guest, all the rest": {kernel(t, map[string]bool{"BLOCK": true}, all...), 0, `K: no guest can run, because it does not have
  CONFIG_BLOCK  pmem devices are block devices
to run all of them, build it with CONFIG_BLOCK
`},
	} {
		t.Run(name, func(t *testing.T) {
			r := Of(c.kernel, scenarios)
			if got := r.String(); got != c.text || r.Count() != c.count {
				t.Errorf("got %d lost:\n%s\nwant %d:\n%s", r.Count(), got, c.count, c.text)
			}
		})
	}
}

func TestBrief(t *testing.T) {
	all := []string{"FS_DAX", "EXT4_FS", "XFS_FS", "X86_MCE", "MEMORY_FAILURE"}
	for name, c := range map[string]struct {
		kernel *kernels.Kernel
		unmet  []kconfig.Unmet
		text   string
	}{
		"nothing is lost": {kernel(t, nil, all...), nil, ""},
		"lost, as it came": {kernel(t, nil, "FS_DAX", "EXT4_FS"), nil, `
K does not have CONFIG_MEMORY_FAILURE, CONFIG_X86_MCE: this skips 3 of 6 scenarios: mce/ext4/read, mce/anon/read, mce/anon/write
K does not have CONFIG_XFS_FS: this skips 1 of 6 scenarios: dax/xfs/read`},
		"not taken": {kernel(t, nil, "EXT4_FS", "X86_MCE", "XFS_FS"), []kconfig.Unmet{{Symbol: "FS_DAX", Asked: "y", Got: "n"}, {Symbol: "PVPANIC_PCI", Asked: "y", Got: "n"}, {Symbol: "TMPFS", Asked: "y", Got: "n"}}, `
K has a Kconfig that does not accept CONFIG_FS_DAX=y (got n): this skips 3 of 6 scenarios: dax/ext4/read, dax/xfs/read, mce/ext4/read
K does not have CONFIG_MEMORY_FAILURE: this skips 3 of 6 scenarios: mce/anon/read, mce/anon/write, mce/ext4/read
K has a Kconfig that does not accept CONFIG_PVPANIC_PCI=y (got n), CONFIG_TMPFS=y (got n): this skips none of 6 scenarios`},
		"more than a line names": {kernel(t, nil, "FS_DAX", "EXT4_FS", "XFS_FS", "X86_MCE"), []kconfig.Unmet{{Symbol: "MEMORY_FAILURE", Asked: "y", Got: "n"}}, `
K has a Kconfig that does not accept CONFIG_MEMORY_FAILURE=y (got n): this skips 4 of 7 scenarios: mce/ext4/read, mce/anon/read, mce/anon/write, …`},
		"no guest": {kernel(t, map[string]bool{"VIRTIO_NET": true, "PCI": true}, all...), []kconfig.Unmet{{Symbol: "PCI", Asked: "y", Got: "n"}}, `
K does not have CONFIG_PCI, CONFIG_VIRTIO_NET: no guest runs, so all 6 scenarios are skipped`},
	} {
		t.Run(name, func(t *testing.T) {
			c.kernel.Unmet = c.unmet
			asked := scenarios
			if strings.Contains(name, "more") {
				asked = append(slices.Clone(asked), scenario.Info{ID: "mce/anon/again", Needs: []string{"MEMORY_FAILURE"}})
			}
			if got, want := strings.Join(Of(c.kernel, asked).Brief(), "\n"), strings.TrimPrefix(c.text, "\n"); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}
}
