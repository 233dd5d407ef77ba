package change

// KSMPoison knows whose a page is that KSM merged.
var KSMPoison = Change{
	ID:        "ksm_poison",
	Commit:    "4248d0083ec5",
	Subject:   "mm: ksm: support hwpoison for ksm page",
	Since:     "v6.4",
	Effect:    "poison in a page that KSM merged is told to who shares it, where the page could not be handled and stayed in use",
	CallPath:  []string{"hwpoison_user_mappings", "collect_procs_ksm", "do_swap_page"},
	Scenarios: []string{"ram/ksm/*"},
	Witnesses: []Move{
		{Scenarios: "ram/ksm/*", Witness: "log", Before: "Memory failure: N: can't handle KSM pages."},
		{Scenarios: "ram/ksm/*", Witness: "log", Before: "Memory failure: N: recovery action for unmapping failed page: Ignored"},
		{Scenarios: "ram/ksm/*", Witness: "log", After: "Memory failure: N: recovery action for dirty LRU page: Recovered"},
		{Scenarios: "ram/ksm/*", Witness: "log", After: "Memory failure: N: Sending SIGBUS to victim due to hardware memory corruption"},
		{Scenarios: "ram/ksm/*", Witness: "log", After: "MCE: Killing * due to hardware memory corruption fault at N"}, // do_sigbus
	},
}
