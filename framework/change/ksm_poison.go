package change

// KSMPoison makes memory_failure() find the processes that share a KSM page.
var KSMPoison = Change{
	ID:      "ksm_poison",
	Commit:  "4248d0083ec5",
	Subject: "mm: ksm: support hwpoison for ksm page",
	Since:   "v6.4",
	Effect: "the processes that share a poisoned KSM page get SIGBUS; " +
		"the kernel used to leave such a page in use",
	CallPath:  []string{"hwpoison_user_mappings", "collect_procs_ksm", "do_swap_page"},
	Scenarios: []string{"ram/ksm/*"},
	Witnesses: []WitnessEffect{
		{Scenarios: "ram/ksm/*", Witness: "log", Before: "Memory failure: N: can't handle KSM pages."},
		{
			Scenarios: "ram/ksm/*",
			Witness:   "log",
			Before:    "Memory failure: N: recovery action for unmapping failed page: Ignored",
		},
		{Scenarios: "ram/ksm/*", Witness: "log", After: "Memory failure: N: recovery action for dirty LRU page: Recovered"},
		{
			Scenarios: "ram/ksm/*",
			Witness:   "log",
			After:     "Memory failure: N: Sending SIGBUS to victim due to hardware memory corruption",
		},
		{
			Scenarios: "ram/ksm/*",
			Witness:   "log",
			After:     "MCE: Killing * due to hardware memory corruption fault at N",
		}, // do_sigbus
	},
}
