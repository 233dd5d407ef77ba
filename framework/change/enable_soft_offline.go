package change

// EnableSoftOffline lets user space disable soft offlining.
var EnableSoftOffline = Change{
	ID:        "enable_soft_offline",
	Commit:    "56374430c5df",
	Subject:   "mm/memory-failure: userspace controls soft-offlining pages",
	Since:     "v6.11",
	Effect:    "MADV_SOFT_OFFLINE fails with EOPNOTSUPP if the new sysctl vm.enable_soft_offline is 0",
	CallPath:  []string{"soft_offline_page"},
	Scenarios: []string{"ram/anon/soft-offline-forbidden"},
	Witnesses: []WitnessEffect{
		{
			Scenarios: "ram/anon/soft-offline-forbidden",
			Witness:   "log",
			After:     "Soft offline: disabled by /proc/sys/vm/enable_soft_offline",
		},
	},
}
