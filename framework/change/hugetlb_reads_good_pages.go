package change

// HugetlbReadsGoodPages makes read(2) return the good parts of a poisoned huge page.
var HugetlbReadsGoodPages = Change{
	ID:      "hugetlb_reads_good_pages",
	Commit:  "38c1ddbde6c6",
	Subject: "hugetlbfs: improve read HWPOISON hugepage",
	Since:   "v6.6",
	Effect: "read(2) of a poisoned page of a hugetlbfs file returns the bytes before and after the bad 4 KiB; " +
		"it used to fail with EIO",
	CallPath:  []string{"hugetlbfs_read_iter", "adjust_range_hwpoison"},
	Scenarios: []string{"ram/hugetlbfs/read"},
}
