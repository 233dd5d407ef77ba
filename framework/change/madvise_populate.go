package change

// MadvisePopulate faults pages in for who asks, and says what came in the way.
var MadvisePopulate = Change{
	ID:        "madvise_populate",
	Commit:    "4ca9b3859dac",
	Subject:   "mm/madvise: introduce MADV_POPULATE_(READ|WRITE) to prefault page tables",
	Since:     "v5.14",
	Effect:    "madvise(MADV_POPULATE_READ) says EHWPOISON of poisoned memory, where the kernel did not know it and said EINVAL",
	CallPath:  []string{"madvise_populate", "faultin_page"},
	Scenarios: []string{"ram/anon/populate", "dax/*/populate-*", "pagecache/*/populate-read"},
}
