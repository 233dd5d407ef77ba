package change

// EnableSoftOffline lets soft offlining be forbidden.
var EnableSoftOffline = Change{
	ID:        "enable_soft_offline",
	Commit:    "56374430c5df",
	Subject:   "mm/memory-failure: userspace controls soft-offlining pages",
	Since:     "v6.11",
	Effect:    "where the sysctl vm.enable_soft_offline is 0, MADV_SOFT_OFFLINE says EOPNOTSUPP; there was no such sysctl",
	CallPath:  []string{"soft_offline_page"},
	Scenarios: []string{"ram/anon/soft-offline-forbidden"},
	Witnesses: []Move{
		{Scenarios: "ram/anon/soft-offline-forbidden", Witness: "log", After: "Soft offline: disabled by /proc/sys/vm/enable_soft_offline"},
	},
}
