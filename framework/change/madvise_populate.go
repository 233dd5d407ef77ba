package change

// MadvisePopulate adds advice values that prefault pages and report why that failed.
var MadvisePopulate = Change{
	ID:        "madvise_populate",
	Commit:    "4ca9b3859dac",
	Subject:   "mm/madvise: introduce MADV_POPULATE_(READ|WRITE) to prefault page tables",
	Since:     "v5.14",
	Effect:    "madvise(MADV_POPULATE_READ) of poisoned memory fails with EHWPOISON; the advice used to be unknown",
	CallPath:  []string{"madvise_populate", "faultin_page"},
	Scenarios: []string{"ram/anon/populate", "dax/*/populate-*", "pagecache/*/populate-read"},
}
