package change

// MadvisePopulateReturns lets MADV_POPULATE_READ end where a page of a file can't be read.
var MadvisePopulateReturns = Change{
	ID:      "madvise_populate_returns",
	Commit:  "631426ba1d45",
	Subject: "mm/madvise: make MADV_POPULATE_(READ|WRITE) handle VM_FAULT_RETRY properly",
	Since:   "v6.9",
	Effect:  "madvise(MADV_POPULATE_READ) over a block that can't be read fails with EFAULT, where it did not return",
	// The fault gives up the mmap lock to read the page and asks for another try. Before
	// the change, each try began with a new fault, and so with reading the page again.
	CallPath:  []string{"madvise_populate", "faultin_page_range", "filemap_fault"},
	Scenarios: []string{"pagecache/*/populate-read"},
}
