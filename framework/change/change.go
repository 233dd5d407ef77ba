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

// KillEarlyOnConsumption tells processes of poison that another one consumed.
var KillEarlyOnConsumption = Change{
	ID:      "kill_early_on_consumption",
	Commit:  "30c9cf492704",
	Subject: "mm,hwpoison: send SIGBUS to PF_MCE_EARLY processes on action required events",
	Since:   "v5.12",
	Effect:  "a process with PR_MCE_KILL_EARLY gets SIGBUS BUS_MCEERR_AO for poison that another process consumed, where it was told nothing",
	Probe:   "mce/ext4/srar-other-early",
}

// CopyFromUserQuiet keeps the signal from who passed poison to a system call.
var CopyFromUserQuiet = Change{
	ID:      "copy_from_user_quiet",
	Commit:  "a6e3cf70b772",
	Subject: "x86/mce: Change to not send SIGBUS error during copy from user",
	Since:   "v5.16",
	Effect:  "a system call that meets poison as it copies its argument from user space sends no SIGBUS any more",
	Probe:   "mce/anon/write",
}

// AMDPanics ends kernels on processors of AMD's without recovery.
var AMDPanics = Change{
	ID:      "amd_severity_panics",
	Commit:  "70c459d915e8",
	Subject: "x86/mce: Simplify AMD severity grading logic",
	Since:   "v5.19",
	Effect:  "poison that is consumed on a processor of AMD's without SUCCOR ends in a panic, where it was logged and forgotten",
	Probe:   "mce/amd/srar",
}

// DaxFolios makes a DAX page of a huge mapping part of one large folio.
var DaxFolios = Change{
	ID:      "dax_folios",
	Commit:  "38607c62b34b",
	Subject: "fs/dax: properly refcount fs dax pages",
	Since:   "v6.15",
	Effect:  "poison that is consumed in a DAX page mapped as a huge one is reported at the huge page's start, where it was at the page's",
	Probe:   "mce/ext4/srar-huge",
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

// CountedByAction counts every page that something was done about.
var CountedByAction = Change{
	ID:      "counted_by_action",
	Commit:  "e240ac52f7da",
	Subject: "mm/memory-failure.c: simplify num_poisoned_pages_inc/dec",
	Since:   "v5.19",
	Effect:  "a poisoned DAX page counts in HardwareCorrupted of /proc/meminfo, where it did not",
	Probe:   "mce/ext4/corrupt-pfn",
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
	return []Change{
		KillEarlyOnConsumption, CopyFromUserQuiet, NfitMiscGranularity, DaxRecoveryWrite, AMDPanics, CountedByAction, UnpoisonAfterMCE,
		CopyUserHighpageMC, DaxFaultHWPoison, DaxFolios,
	}
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
