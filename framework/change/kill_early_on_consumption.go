package change

// KillEarlyOnConsumption signals processes about poison that another process consumed.
var KillEarlyOnConsumption = Change{
	ID:      "kill_early_on_consumption",
	Commit:  "30c9cf492704",
	Subject: "mm,hwpoison: send SIGBUS to PF_MCE_EARLY processes on action required events",
	Since:   "v5.12",
	Effect: "a process with PR_MCE_KILL_EARLY gets SIGBUS BUS_MCEERR_AO for poison that another process consumed; " +
		"it used to get no signal",
	CallPath: []string{"do_machine_check", "memory_failure", "mf_generic_kill_procs"},
	Scenarios: []string{
		"mce/*/srar-other-early", "mce/*/srao-early", "mce/*/corrupt-pfn-early", "dax/*/madvise-second-early",
	},
	Witnesses: []WitnessEffect{
		{
			Scenarios: "mce/*/*-early",
			Witness:   "log",
			After:     "Memory failure: N: Sending SIGBUS to * due to hardware memory corruption",
		},
		{
			Scenarios: "dax/*/*-early",
			Witness:   "log",
			After:     "Memory failure: N: Sending SIGBUS to * due to hardware memory corruption",
		},
		// mf_generic_kill_procs unmaps the page from the processes that it signals.
		{Scenarios: "mce/*/srao-early", Witness: "pagemap file+* in victim", Before: "present", After: "absent"},
	},
}
