package change

// MadvisePopulateReturns lets MADV_POPULATE_READ return if it cannot read a file's page.
var MadvisePopulateReturns = Change{
	ID:      "madvise_populate_returns",
	Commit:  "631426ba1d45",
	Subject: "mm/madvise: make MADV_POPULATE_(READ|WRITE) handle VM_FAULT_RETRY properly",
	Since:   "v6.9",
	Effect:  "madvise(MADV_POPULATE_READ) of a block that cannot be read fails with EFAULT; it used not to return",
	// The fault drops the mmap lock to read the page, and asks for a retry. Before the
	// change, each retry started a new fault, which read the page again.
	CallPath:  []string{"madvise_populate", "faultin_page_range", "filemap_fault"},
	Scenarios: []string{"pagecache/*/populate-read"},
}
