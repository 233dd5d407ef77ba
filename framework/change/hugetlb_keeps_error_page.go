package change

// HugetlbKeepsErrorPage keeps a poisoned hugetlbfs page in its file.
var HugetlbKeepsErrorPage = Change{
	ID:      "hugetlb_keeps_error_page",
	Commit:  "8625147cafaa",
	Subject: "hugetlbfs: don't delete error page from pagecache",
	Since:   "v6.1",
	// From the review of 5.15.80-rc1 (2022-11-23). It was upstream by then: before v6.1.
	Stable: []string{"5.15.80"},
	Effect: "a poisoned page of a hugetlbfs file stays poisoned for later mappings and reads of the file; " +
		"it used to be replaced by a page of zeros",
	CallPath:  []string{"me_huge_page", "hugetlbfs_error_remove_page", "hugetlb_fault"},
	Scenarios: []string{"ram/hugetlbfs/second-mapping", "ram/hugetlbfs/read"},
	Witnesses: []WitnessEffect{
		{
			Scenarios: "ram/hugetlbfs/second-mapping",
			Witness:   "log",
			After:     "MCE: Killing * due to hardware memory corruption fault at N",
		}, // do_sigbus
	},
}
