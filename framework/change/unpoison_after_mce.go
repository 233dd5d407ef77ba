package change

// UnpoisonAfterMCE disables unpoisoning after a real machine check.
var UnpoisonAfterMCE = Change{
	ID:      "unpoison_after_mce",
	Commit:  "67f22ba7750f",
	Subject: "mm/memory-failure: disable unpoison once hw error happens",
	Since:   "v5.19",
	Effect: "a write to unpoison-pfn fails with EOPNOTSUPP after the kernel handled a real machine check; " +
		"it used to unpoison the page",
	CallPath:  []string{"unpoison_memory"},
	Scenarios: []string{"mce/anon/unpoison"},
	Witnesses: []WitnessEffect{
		// A page that was unpoisoned is no longer counted and does not have the flag.
		{Scenarios: "mce/anon/unpoison", Witness: "HardwareCorrupted", Before: "4 kB", After: "8 kB"},
		{Scenarios: "mce/anon/unpoison", Witness: "kpageflags anon+0x5000", Before: "no hwpoison", After: "hwpoison"},
	},
}
