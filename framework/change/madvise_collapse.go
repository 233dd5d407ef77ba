package change

// MadviseCollapse is a new operation, which makes a huge page of small ones.
var MadviseCollapse = Change{
	ID:          "madvise_collapse",
	Commit:      "7d8faaf15545",
	Subject:     "mm/madvise: introduce MADV_COLLAPSE sync hugepage collapse",
	Since:       "v6.1",
	Effect:      "madvise(MADV_COLLAPSE) makes a transparent huge page; it used to fail with EINVAL",
	CallPath:    []string{"madvise_collapse", "hpage_collapse_scan_pmd"},
	Scenarios:   []string{"ram/entry/collapse"},
	NeedsConfig: []string{"TRANSPARENT_HUGEPAGE"},
}
