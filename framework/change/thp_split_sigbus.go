package change

// ThpSplitSigbus tells of poison in a transparent huge page that can't be split.
var ThpSplitSigbus = Change{
	ID:        "thp_split_sigbus",
	Commit:    "1a3798dececa",
	Subject:   "mm/memory-failure: send SIGBUS in the event of thp split fail",
	Since:     "v6.11",
	Effect:    "who poisons a transparent huge page that can't be split gets SIGBUS BUS_MCEERR_AR with the huge page's size, where madvise(2) said EBUSY and nothing more",
	CallPath:  []string{"memory_failure", "try_to_split_thp_page", "kill_procs_now"},
	Scenarios: []string{"ram/thp/pinned", "mce/pagecache-xfs/srar-dirty-folio"},
	Witnesses: append(unsplit("ram/thp/pinned"), unsplit("mce/pagecache-xfs/srar-dirty-folio")...),
}

// unsplit are what the log says of what can't be split.
func unsplit(scenarios string) []Move {
	return append(sending(scenarios),
		Move{Scenarios: scenarios, Witness: "log", Before: "Memory failure: N: recovery action for unsplit thp: Ignored"},
		Move{Scenarios: scenarios, Witness: "log", After: "Memory failure: N: recovery action for unsplit thp: Failed"})
}
