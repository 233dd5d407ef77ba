package change

// SwapinErrorMarker keeps what could not be read back from a swap device from
// being mapped.
var SwapinErrorMarker = Change{
	ID:        "swapin_error_marker",
	Commit:    "9f186f9e5fa9",
	Subject:   "mm/swapfile: unuse_pte can map random data if swap read fails",
	Since:     "v5.19",
	Effect:    "memory that swapoff(2) could not read back is no memory any more, where it was whatever the page held that it was to be read into",
	CallPath:  []string{"try_to_unuse", "unuse_pte", "do_swap_page"},
	Scenarios: []string{"ram/swap/bad-block-swapoff"},
}
