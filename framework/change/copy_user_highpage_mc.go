package change

// CopyUserHighpageMC lets the kernel survive poison in a page that it copies.
var CopyUserHighpageMC = Change{
	ID:      "copy_user_highpage_mc",
	Commit:  "a873dfe1032a",
	Subject: "mm, hwpoison: try to recover from copy-on write faults",
	Since:   "v6.2",
	// From the review of 5.15.120-rc1 (2023-07-03). 6.1.192 has it too; since when is not
	// known.
	Stable:    []string{"5.15.120"},
	Effect:    "a store that makes the kernel copy a poisoned page gets SIGBUS BUS_MCEERR_AR; it used to panic the kernel",
	CallPath:  []string{"wp_page_copy", "copy_mc_user_highpage", "do_sigbus"},
	Scenarios: []string{"mce/anon/cow", "mce/pagecache-*/cow"},
}
