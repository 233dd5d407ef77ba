package change

// AMDPanics ends kernels on processors of AMD's without recovery.
var AMDPanics = Change{
	ID:        "amd_severity_panics",
	Commit:    "70c459d915e8",
	Subject:   "x86/mce: Simplify AMD severity grading logic",
	Since:     "v5.19",
	Effect:    "poison that is consumed on a processor of AMD's without SUCCOR ends in a panic, where it was logged, and the access met the poison again for ever",
	CallPath:  []string{"do_machine_check", "mce_severity_amd"},
	Scenarios: []string{"mce/amd/srar"},
}
