package change

// MadviseActionRequired has MADV_HWPOISON stand for poison that the caller
// consumed.
var MadviseActionRequired = Change{
	ID:        "madvise_action_required",
	Commit:    "66802526298e",
	Subject:   "mm/madvise: add MF_ACTION_REQUIRED to madvise(MADV_HWPOISON)",
	Since:     "v6.11",
	Effect:    "who poisons RAM of its own by madvise(MADV_HWPOISON) gets SIGBUS BUS_MCEERR_AR at once, where it was told nothing, or BUS_MCEERR_AO",
	CallPath:  []string{"madvise_inject_error", "memory_failure", "kill_procs", "kill_proc"},
	Scenarios: []string{"ram/anon/load", "ram/anon/store", "ram/anon/early", "ram/anon/second-process", "ram/anon/populate", "ram/anon/locked", "ram/thp/load", "ram/hugetlb/*", "ram/hugetlbfs/*", "ram/tmpfs/*", "ram/pagecache-*/dirty", "dax/*/madvise-private-copy"},
	// With early kill the line is there without the change, too (ram/anon/early).
	Witnesses: sending("ram/anon/[^e]*", "ram/thp/load", "ram/hugetlb/*", "ram/hugetlbfs/*", "ram/tmpfs/*", "ram/pagecache-*/dirty", "dax/*/madvise-private-copy"),
}

// sending are the moves of a change that has kill_proc() signal the victim of
// scenarios.
func sending(globs ...string) (moves []Move) {
	for _, g := range globs {
		moves = append(moves, Move{Scenarios: g, Witness: "log", After: "Memory failure: N: Sending SIGBUS to victim due to hardware memory corruption"})
	}
	return moves
}
