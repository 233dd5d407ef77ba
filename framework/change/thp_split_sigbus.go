package change

import "slices"

// ThpSplitSigbus sends SIGBUS for poison in a transparent huge page that cannot be split.
var ThpSplitSigbus = Change{
	ID:      "thp_split_sigbus",
	Commit:  "1a3798dececa",
	Subject: "mm/memory-failure: send SIGBUS in the event of thp split fail",
	Since:   "v6.11",
	Effect: "poisoning a transparent huge page that cannot be split sends the caller SIGBUS BUS_MCEERR_AR " +
		"with the size of the huge page; madvise(2) used to fail with EBUSY, without a signal",
	CallPath: []string{"memory_failure", "try_to_split_thp_page", "kill_procs_now"},
	Scenarios: []string{
		"ram/thp/pinned", "ram/huge-tmpfs/punch", "ram/pagecache-xfs-16k/*", "mce/pagecache-xfs/srar-dirty-folio",
	},
	Witnesses: slices.Concat(unsplit("ram/thp/pinned"), unsplit("ram/huge-tmpfs/punch"),
		unsplit("ram/pagecache-xfs-16k/*"), unsplit("mce/pagecache-xfs/srar-dirty-folio")),
}

// unsplit returns the moves of the log for a page that cannot be split.
func unsplit(scenarios string) []WitnessEffect {
	return append(
		sending(scenarios),
		WitnessEffect{
			Scenarios: scenarios,
			Witness:   "log",
			Before:    "Memory failure: N: recovery action for unsplit thp: Ignored",
		},
		WitnessEffect{
			Scenarios: scenarios,
			Witness:   "log",
			After:     "Memory failure: N: recovery action for unsplit thp: Failed",
		},
	)
}
