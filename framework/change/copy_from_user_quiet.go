package change

// CopyFromUserQuiet makes a system call that hits poison in user space fail without a
// signal. The same series lets copy_from_user return the number of bytes that it did not
// copy: before, it returned 0.
var CopyFromUserQuiet = Change{
	ID:      "copy_from_user_quiet",
	Commit:  "a6e3cf70b772",
	Subject: "x86/mce: Change to not send SIGBUS error during copy from user",
	Since:   "v5.16",
	Effect: "a system call that hits poison while it copies an argument from user space " +
		"fails with EFAULT and sends no SIGBUS",
	CallPath:  []string{"do_machine_check", "queue_task_work"},
	Scenarios: []string{"mce/anon/write", "mce/anon/ioctl", "mce/anon/futex"},
	Witnesses: []WitnessEffect{
		{
			Scenarios: "mce/anon/write",
			Witness:   "log",
			Before:    "Memory failure: N: Sending SIGBUS to victim due to hardware memory corruption",
		},
		{
			Scenarios: "mce/anon/ioctl",
			Witness:   "log",
			Before:    "Memory failure: N: Sending SIGBUS to victim due to hardware memory corruption",
		},
		{
			Scenarios: "mce/anon/futex",
			Witness:   "log",
			Before:    "Memory failure: N: Sending SIGBUS to victim due to hardware memory corruption",
		},
		// queue_task_work in arch/x86/kernel/cpu/mce/core.c queues another function, which
		// logs another message.
		{Scenarios: "mce/anon/write", Witness: "log", Before: "mce: Uncorrected hardware memory error in user-access at N"},
		{Scenarios: "mce/anon/ioctl", Witness: "log", Before: "mce: Uncorrected hardware memory error in user-access at N"},
		{Scenarios: "mce/anon/futex", Witness: "log", Before: "mce: Uncorrected hardware memory error in user-access at N"},
		{Scenarios: "mce/anon/write", Witness: "log", After: "mce: Kernel accessed poison in user space at N"},
		{Scenarios: "mce/anon/ioctl", Witness: "log", After: "mce: Kernel accessed poison in user space at N"},
		{Scenarios: "mce/anon/futex", Witness: "log", After: "mce: Kernel accessed poison in user space at N"},
	},
}
