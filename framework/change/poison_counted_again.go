package change

// PoisonCountedAgain is a bug: each report of a page that is poisoned already is counted.
// The fix is 3be306cccdcc "mm/memory-failure: fix redundant updates for already poisoned
// pages", in v6.17 and in stable updates of 6.16 and 6.12 (mails of the stable list).
var PoisonCountedAgain = Change{
	ID:        "poison_counted_again",
	Commit:    "b8b9488d50b7",
	Subject:   "mm/memory-failure: improve memory failure action_result messages",
	Since:     "v6.11",
	Until:     "v6.17",
	Effect:    "HardwareCorrupted in /proc/meminfo counts a page again at each further report of its poison",
	CallPath:  []string{"memory_failure", "action_result", "num_poisoned_pages_inc"},
	Scenarios: []string{"ram/anon/twice"},
	Witnesses: []WitnessEffect{
		{Scenarios: "mce/*/dropped", Witness: "HardwareCorrupted", Before: "4 kB", After: "8 kB"},
		{
			Scenarios: "mce/*/dropped", Witness: "memory_failure counters",
			Before: "total 1, recovered 1", After: "total 2, failed 1, recovered 1",
		},
		{
			Scenarios: "ram/anon/twice", Witness: "memory_failure counters",
			Before: "total 1, recovered 1", After: "total 2, failed 1, recovered 1",
		},
	},
}
