package change

// CountedByAction counts every page that memory_failure() takes an action for.
var CountedByAction = Change{
	ID:       "counted_by_action",
	Commit:   "e240ac52f7da",
	Subject:  "mm/memory-failure.c: simplify num_poisoned_pages_inc/dec",
	Since:    "v5.19",
	Effect:   "HardwareCorrupted in /proc/meminfo counts poisoned DAX pages; it used to leave them out",
	CallPath: []string{"memory_failure", "meminfo_proc_show"},
	Scenarios: []string{
		"mce/*/corrupt-pfn", "dax/*/second-process", "dax/*/madvise", "dax/*/madvise-huge", "dax/*/madvise-second*",
		"dax/*/madvise-tail", "dax/*/madvise-thread", "dax/*/unpoison", "dax/device/page", "dax/device/huge-page",
		"dax/device/gigantic-page",
		"dax/*/poison-mended",
	},
	// meminfo_proc_show prints the line HardwareCorrupted only with this symbol.
	NeedsConfig: []string{"MEMORY_FAILURE"},
	Witnesses: []WitnessEffect{
		{Scenarios: "mce/ext4/*", Witness: "HardwareCorrupted", Before: "0 kB", After: "4 kB"},
		{Scenarios: "mce/xfs/*", Witness: "HardwareCorrupted", Before: "0 kB", After: "4 kB"},
	},
}
