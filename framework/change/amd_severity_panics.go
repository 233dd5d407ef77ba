package change

// AMDPanics is the panic on AMD processors that cannot recover from poison.
var AMDPanics = Change{
	ID:      "amd_severity_panics",
	Commit:  "70c459d915e8",
	Subject: "x86/mce: Simplify AMD severity grading logic",
	Since:   "v5.19",
	Effect: "the kernel panics when poison is consumed on an AMD processor without SUCCOR; " +
		"it used to log the error, and the access hit the poison over and over",
	CallPath:  []string{"do_machine_check", "mce_severity_amd"},
	Scenarios: []string{"mce/amd/srar"},
}
