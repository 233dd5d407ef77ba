package change

// DroppedPageSigbus is a bug: a process gets SIGBUS for poison of a clean page that was
// dropped before the machine check was handled. The fix is aaf99ac2ceb7 "mm/hwpoison: do
// not send SIGBUS to processes with recovered clean pages", in v6.15 and in stable updates
// of 5.15 to 6.14 (mails of the stable list).
var DroppedPageSigbus = Change{
	ID:        "dropped_page_sigbus",
	Commit:    "a3f5d80ea401",
	Subject:   "mm,hwpoison: send SIGBUS with error virutal address", //nolint:misspell // as committed
	Since:     "v5.14",
	Until:     "v6.15",
	Effect:    "a machine check for a clean page that was dropped already sends SIGBUS without an address",
	CallPath:  []string{"kill_me_maybe", "memory_failure", "kill_accessing_process"},
	Scenarios: []string{"mce/*/dropped"},
}
