package change

// UnpoisonOnline refuses to unpoison pages that are not RAM. Stable updates have it, too
// (mails to the stable list of September 2025): 6.12.43, 6.16.3 and 5.10.218 do not show it,
// 6.12.95, 6.16.12, 6.1.170 and 5.10.262 do.
var UnpoisonOnline = Change{
	ID:      "unpoison_online",
	Commit:  "d613f53c83ec",
	Subject: "mm/memory-failure: fix VM_BUG_ON_PAGE(PagePoisoned(page)) when unpoison memory",
	Since:   "v6.17",
	Effect: "a write of a DAX page to unpoison-pfn fails with EIO; it used to fail with EBUSY, " +
		"and before v5.17 it succeeded",
	CallPath:  []string{"unpoison_memory", "pfn_to_online_page"},
	Scenarios: []string{"dax/*/unpoison"},
	Witnesses: []WitnessEffect{
		{Scenarios: "dax/*/unpoison", Witness: "log", Before: "Unpoison: *"},
	},
}
