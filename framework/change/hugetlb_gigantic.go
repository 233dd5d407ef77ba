package change

// HugetlbGigantic makes memory_failure() handle huge pages larger than PMD_SIZE.
var HugetlbGigantic = Change{
	ID:        "hugetlb_gigantic",
	Commit:    "6f4614886baa",
	Subject:   "mm, hwpoison: enable memory error handling on 1GB hugepage",
	Since:     "v6.0",
	Effect:    "a poisoned 1 GiB page is unmapped, and a load from it gets SIGBUS; it used to stay mapped and readable",
	CallPath:  []string{"memory_failure", "hwpoison_user_mappings", "hugetlb_fault"},
	Scenarios: []string{"ram/hugetlb/gigantic"},
	Witnesses: []WitnessEffect{
		{
			Scenarios: "ram/hugetlb/gigantic",
			Witness:   "log",
			Before:    "Memory failure: N: recovery action for non-pmd-sized huge page: Ignored",
		},
		{
			Scenarios: "ram/hugetlb/gigantic",
			Witness:   "log",
			After:     "MCE: Killing * due to hardware memory corruption fault at N",
		}, // do_sigbus
	},
}
