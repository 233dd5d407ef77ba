package kcore

import (
	"bytes"
	"fmt"
	"strconv"
)

// VMCoreInfo returns a number from the note VMCOREINFO by its name, for example
// "NUMBER(PG_hwpoison)" (Documentation/admin-guide/kdump/vmcoreinfo.rst). The note is in
// the first 64 KiB of /proc/kcore.
func VMCoreInfo(elf []byte, name string) (uint64, error) {
	_, rest, found := bytes.Cut(elf, []byte("\n"+name+"="))
	value, _, whole := bytes.Cut(rest, []byte("\n"))
	if !found || !whole {
		return 0, fmt.Errorf("VMCOREINFO has no %s", name)
	}
	n, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("VMCOREINFO has %s=%.20q, which is not a number", name, value)
	}
	return n, nil
}
