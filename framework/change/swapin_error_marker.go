package change

// SwapinErrorMarker prevents the mapping of a page that could not be swapped in.
var SwapinErrorMarker = Change{
	ID:      "swapin_error_marker",
	Commit:  "9f186f9e5fa9",
	Subject: "mm/swapfile: unuse_pte can map random data if swap read fails",
	Since:   "v5.19",
	Effect: "an access to memory that swapoff(2) could not read back gets SIGBUS; " +
		"it used to get stale data of the page that was allocated for it",
	CallPath:  []string{"try_to_unuse", "unuse_pte", "do_swap_page"},
	Scenarios: []string{"ram/swap/bad-block-swapoff"},
}
