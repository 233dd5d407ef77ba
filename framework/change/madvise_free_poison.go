package change

// MadviseFreePoison lets MADV_FREE drop the entry of a poisoned page.
var MadviseFreePoison = Change{
	ID:        "madvise_free_poison",
	Commit:    "7b49514fa1db",
	Subject:   "mm/madvise: free hwpoison and swapin error entry in madvise_free_pte_range",
	Since:     "v5.19",
	Effect:    "madvise(MADV_FREE) of a poisoned page replaces it by a page of zeros; later loads used to get SIGBUS",
	CallPath:  []string{"madvise_free_pte_range"},
	Scenarios: []string{"ram/entry/free"},
	Witnesses: []WitnessEffect{
		{
			Scenarios: "ram/entry/free",
			Witness:   "log",
			Before:    "MCE: Killing victim due to hardware memory corruption fault at N",
		},
	},
}
