package change

// ThpZeroRemap is a bug: splitting a huge page maps its pages of zeros to the zero page, and
// leaves out no poisoned one. The fix is 841a8bfcbad9 "mm: prevent poison consumption when
// splitting THP", in v6.18, 6.17.6 and 6.12.56 (mails of the stable list).
var ThpZeroRemap = Change{
	ID:      "thp_zero_remap",
	Commit:  "b1f202060afe",
	Subject: "mm: remap unused subpages to shared zeropage when splitting isolated thp",
	Since:   "v6.12",
	Until:   "v6.18",
	Fixed:   []string{"6.17.6", "6.12.56"},
	Effect: "a load from a poisoned page of zeros in a transparent huge page reads zeros; " +
		"it used to get SIGBUS BUS_MCEERR_AR",
	CallPath:  []string{"memory_failure", "try_to_split_thp_page", "try_to_map_unused_to_zeropage"},
	Scenarios: []string{"ram/thp/zeros"},
	Witnesses: []WitnessEffect{
		{
			Scenarios: "ram/thp/zeros",
			Witness:   "log",
			Before:    "MCE: Killing victim due to hardware memory corruption fault at N",
		},
		{Scenarios: "ram/thp/zeros", Witness: "pagemap *", Before: "swap entry", After: "present"},
	},
}
