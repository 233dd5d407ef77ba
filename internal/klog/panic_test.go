package klog

import "testing"

func TestPanicNote(t *testing.T) {
	const console = `[    8.1] mce: [Hardware Error]: CPU 0: Machine Check Exception: f Bank 9: bd80000000000134
[    8.2] mce: [Hardware Error]: Machine check: Data load in unrecoverable area of kernel
[    8.3] Kernel panic - not syncing: Fatal local machine check
[    8.4] Kernel Offset: disabled`
	const want = "Kernel panic - not syncing: Fatal local machine check: Machine check: Data load in unrecoverable area of kernel"
	if got := PanicNote(console); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	const init = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000007"
	if got := PanicNote(init); got != init {
		t.Errorf("got %q, want %q", got, init)
	}
	const page = "[    8.3] Kernel panic - not syncing: Memory failure: 0x4840: unrecoverable page\n[    8.4] x"
	if got, want := PanicNote(page), "Kernel panic - not syncing: Memory failure: N: unrecoverable page"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
