package change

// CopyUserHighpageMC lets the kernel survive poison in the page that it copies.
var CopyUserHighpageMC = Change{
	ID:      "copy_user_highpage_mc",
	Commit:  "a873dfe1032a",
	Subject: "mm, hwpoison: try to recover from copy-on write faults",
	Since:   "v6.2",
	// The review of 5.15.120-rc1 (2023-07-03). 6.1.192 has it too, and since when is not known.
	Stable:    []string{"5.15.120"},
	Effect:    "poison that the kernel consumes while it copies a page for a store ends in SIGBUS BUS_MCEERR_AR, where it ended in a panic",
	CallPath:  []string{"wp_page_copy", "copy_mc_user_highpage", "do_sigbus"},
	Scenarios: []string{"mce/anon/cow", "mce/pagecache-*/cow"},
}
