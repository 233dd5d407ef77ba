package change

// PoisonedMarker marks memory that could not be read back from a swap device as poisoned.
var PoisonedMarker = Change{
	ID:        "poisoned_marker",
	Commit:    "af19487f00f3",
	Subject:   "mm: make PTE_MARKER_SWAPIN_ERROR more general",
	Since:     "v6.6",
	Effect:    "an access to memory that swapoff(2) could not read back gets SIGBUS BUS_MCEERR_AR instead of BUS_ADRERR",
	CallPath:  []string{"unuse_pte", "do_swap_page", "handle_pte_marker", "do_sigbus"},
	Scenarios: []string{"ram/swap/bad-block-swapoff"},
	Witnesses: []WitnessEffect{
		{
			Scenarios: "ram/swap/bad-block-swapoff",
			Witness:   "log",
			After:     "MCE: Killing * due to hardware memory corruption fault at N",
		}, // do_sigbus
	},
}
