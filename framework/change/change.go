// Package change lists the kernel changes that Faultline knows: behaviour that
// differs between kernels for a reason. Expectations hang on a change, never
// on a version, because stable and vendor kernels carry backports. The package
// says what a change is; what it means for a scenario is said there.
package change

import (
	"fmt"
	"strings"
)

// Change is a kernel commit after which user space sees something else.
type Change struct {
	// ID is the name that scenarios, matrices and reports use.
	ID string `json:"id"`
	// Commit is the upstream commit's first 12 hexadecimal digits.
	Commit string `json:"commit"`
	// Subject is the commit's subject line.
	Subject string `json:"subject"`
	// Since is the first upstream release with it.
	Since string `json:"since"`
	// Effect says in one sentence what user space sees of it.
	Effect string `json:"effect"`
	// Probe is the id of the scenario that tells whether a kernel has it.
	Probe string `json:"probe"`
}

// DaxFaultHWPoison is the change that Faultline was born from.
var DaxFaultHWPoison = Change{
	ID:      "dax_fault_hwpoison",
	Commit:  "1ea7ca1b0901",
	Subject: "dax: enable dax fault handler to report VM_FAULT_HWPOISON",
	Since:   "v6.5",
	Effect:  "a DAX page fault on known poison ends in SIGBUS BUS_MCEERR_AR with si_addr_lsb, where it ended in BUS_ADRERR",
	Probe:   "dax/ext4/shared-read",
}

// DaxRecoveryWrite lets a write of a whole page mend it.
var DaxRecoveryWrite = Change{
	ID:      "dax_recovery_write",
	Commit:  "f42e8e5088b9",
	Subject: "pmem: implement pmem_recovery_write()",
	Since:   "v5.19",
	Effect:  "write(2) of a whole poisoned DAX page clears the poison where the device can, and says EFAULT where it can't; it said EIO",
	Probe:   "dax/ext4/pwrite",
}

// NfitMiscGranularity lists as many bad sectors as a machine check says.
var NfitMiscGranularity = Change{
	ID:      "nfit_misc_granularity",
	Commit:  "7917f9cdb503",
	Subject: "acpi/nfit: rely on mce->misc to determine poison granularity",
	Since:   "v5.19",
	Effect:  "a machine check for a page adds the page's 8 sectors to the bad blocks of an nvdimm, where it added one",
	Probe:   "mce/nfit/page",
}

// UnpoisonAfterMCE keeps pages for good that a machine check took.
var UnpoisonAfterMCE = Change{
	ID:      "unpoison_after_mce",
	Commit:  "67f22ba7750f",
	Subject: "mm/memory-failure: disable unpoison once hw error happens",
	Since:   "v5.19",
	Effect:  "unpoison-pfn says EOPNOTSUPP once a real machine check was handled, where it gave the page back",
	Probe:   "mce/anon/unpoison",
}

// CopyUserHighpageMC lets the kernel survive poison in the page that it copies.
var CopyUserHighpageMC = Change{
	ID:      "copy_user_highpage_mc",
	Commit:  "a873dfe1032a",
	Subject: "mm, hwpoison: try to recover from copy-on write faults",
	Since:   "v6.2",
	Effect:  "poison that the kernel consumes while it copies a page for a store ends in SIGBUS BUS_MCEERR_AR, where it ended in a panic",
	Probe:   "mce/anon/cow",
}

// All are the known changes, in upstream order.
func All() []Change {
	return []Change{NfitMiscGranularity, DaxRecoveryWrite, UnpoisonAfterMCE, CopyUserHighpageMC, DaxFaultHWPoison}
}

// ByID finds a change by its name.
func ByID(id string) (Change, error) {
	var ids []string
	for _, c := range All() {
		if c.ID == id {
			return c, nil
		}
		ids = append(ids, c.ID)
	}
	return Change{}, fmt.Errorf("no known change %q; known are %s", id, strings.Join(ids, ", "))
}
