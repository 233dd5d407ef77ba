package observe

import "testing"

func TestBadSectors(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "none",
		"\n":                     "none",
		"20512 8\n":              "8 sectors",
		"20512 8\n40960 1\n":     "8 sectors, 1 sectors",
		" 20512 8 \n  40960 1\n": "8 sectors, 1 sectors",
	} {
		if got := BadSectors(text); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}

func TestPanicNote(t *testing.T) {
	const console = `[    8.1] mce: [Hardware Error]: CPU 0: Machine Check Exception: f Bank 9: bd80000000000134
[    8.2] mce: [Hardware Error]: Machine check: Data load in unrecoverable area of kernel
[    8.3] Kernel panic - not syncing: Fatal local machine check
[    8.4] Kernel Offset: disabled`
	const want = "Kernel panic - not syncing: Fatal local machine check: Machine check: Data load in unrecoverable area of kernel"
	if got := PanicNote(console); got != want {
		t.Errorf("%q", got)
	}
}
