package change

// UnpoisonAfterMCE keeps pages for good that a machine check took.
var UnpoisonAfterMCE = Change{
	ID:        "unpoison_after_mce",
	Commit:    "67f22ba7750f",
	Subject:   "mm/memory-failure: disable unpoison once hw error happens",
	Since:     "v5.19",
	Effect:    "unpoison-pfn says EOPNOTSUPP once a real machine check was handled, where it gave the page back",
	CallPath:  []string{"unpoison_memory"},
	Scenarios: []string{"mce/anon/unpoison"},
	Witnesses: []Move{
		// The page that was given back is counted no more, and has no flag.
		{Scenarios: "mce/anon/unpoison", Witness: "HardwareCorrupted", Before: "4 kB", After: "8 kB"},
		{Scenarios: "mce/anon/unpoison", Witness: "kpageflags anon+0x5000", Before: "no hwpoison", After: "hwpoison"},
	},
}
