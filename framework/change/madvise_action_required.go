package change

// MadviseActionRequired makes MADV_HWPOISON act as if the caller had consumed the
// poison.
var MadviseActionRequired = Change{
	ID:      "madvise_action_required",
	Commit:  "66802526298e",
	Subject: "mm/madvise: add MF_ACTION_REQUIRED to madvise(MADV_HWPOISON)",
	Since:   "v6.11",
	Effect: "madvise(MADV_HWPOISON) sends the caller SIGBUS BUS_MCEERR_AR at once when it poisons RAM; " +
		"it used to send BUS_MCEERR_AO or no signal",
	CallPath: []string{"madvise_inject_error", "memory_failure", "kill_procs", "kill_proc"},
	Scenarios: []string{
		"ram/anon/load",
		"ram/anon/store",
		"ram/anon/early",
		"ram/anon/second-process",
		"ram/anon/populate",
		"ram/anon/locked",
		"ram/anon/counters",
		"ram/anon/trace",
		"ram/thp/load",
		"ram/entry/*",
		"ram/removed/*",
		"ram/kmem/offline",
		"ram/hugetlb/*",
		"ram/hugetlbfs/*",
		"ram/tmpfs/*",
		"ram/pagecache-ext4/dirty", "ram/pagecache-xfs/dirty",
		"dax/*/madvise-private-copy",
	},
	// With early kill, the line is logged without the change too (ram/anon/early).
	Witnesses: sending(
		"ram/anon/[^e]*",
		"ram/thp/load",
		"ram/entry/*",
		"ram/removed/*",
		"ram/kmem/offline",
		"ram/hugetlb/*",
		"ram/hugetlbfs/*",
		"ram/tmpfs/*",
		"ram/pagecache-ext4/dirty", "ram/pagecache-xfs/dirty",
		"dax/*/madvise-private-copy",
	),
	Signatures: []Signature{
		{
			Places: []string{"*"}, Actions: []string{"madvise(*, 4096, 100)"}, // MADV_HWPOISON
			Before: "ok 0", With: "SIGBUS BUS_MCEERR_AR lsb=* at PAGE, returning 0",
		},
		{
			Places: []string{"*"}, Witness: "log",
			With: "Memory failure: N: Sending SIGBUS to PROCESS due to hardware memory corruption",
		},
	},
}

// sending returns the moves of a change after which kill_proc() signals the victim in
// these scenarios.
func sending(globs ...string) (moves []WitnessEffect) {
	for _, g := range globs {
		moves = append(
			moves,
			WitnessEffect{
				Scenarios: g,
				Witness:   "log",
				After:     "Memory failure: N: Sending SIGBUS to victim due to hardware memory corruption",
			},
		)
	}
	return moves
}
