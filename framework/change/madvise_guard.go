package change

// MadviseGuard is a new operation: it replaces pages, also poisoned ones, by guard markers.
var MadviseGuard = Change{
	ID:      "madvise_guard",
	Commit:  "662df3e5c376",
	Subject: "mm: madvise: implement lightweight guard page mechanism",
	Since:   "v6.13",
	Effect: "madvise(MADV_GUARD_INSTALL) replaces a poisoned page, after which loads get SIGSEGV; " +
		"it used to fail with EINVAL",
	CallPath:  []string{"madvise_guard_install", "guard_install_pte_entry"},
	Scenarios: []string{"ram/entry/guard"},
	Witnesses: []WitnessEffect{
		{
			Scenarios: "ram/entry/guard",
			Witness:   "log",
			Before:    "MCE: Killing victim due to hardware memory corruption fault at N",
		},
	},
}
