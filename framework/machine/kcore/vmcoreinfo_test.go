package kcore

import "testing"

func TestVMCoreInfo(t *testing.T) {
	const note = "\x7fELF…VMCOREINFO\x00OSRELEASE=6.1\nPAGESIZE=4096\nSIZE(page)=64\nNUMBER(PG_hwpoison)=23\nNUMBER(x)=no\nLAST=1"
	for name, want := range map[string]uint64{"PAGESIZE": 4096, "SIZE(page)": 64, "NUMBER(PG_hwpoison)": 23} {
		if got, err := VMCoreInfo([]byte(note), name); err != nil || got != want {
			t.Errorf("%s: got %d, error %v; want %d", name, got, err, want)
		}
	}
	for _, name := range []string{"NUMBER(x)", "LAST", "NUMBER(PG_lru)", "SIZE"} {
		if got, err := VMCoreInfo([]byte(note), name); err == nil {
			t.Errorf("%s: got %d, want an error", name, got)
		}
	}
}
