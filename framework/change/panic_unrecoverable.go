package change

// PanicUnrecoverable adds the sysctl. The hash of its upstream commit is not known here; the
// patch is 2/3 of the series that ends with "Documentation: document
// panic_on_unrecoverable_memory_failure sysctl" (B. Leitao, May 2026).
var PanicUnrecoverable = Change{
	ID:      "panic_unrecoverable",
	Subject: "mm/memory-failure: add panic option for unrecoverable pages",
	Since:   "v7.3",
	Effect: "with vm.panic_on_unrecoverable_memory_failure=1 the kernel panics for poison in its own pages; " +
		"the sysctl did not exist",
	CallPath:  []string{"memory_failure", "action_result", "panic_on_unrecoverable_mf"},
	Scenarios: []string{"ram/kernel-page/panic"},
}
