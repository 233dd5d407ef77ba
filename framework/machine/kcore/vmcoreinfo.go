package kcore

import (
	"bytes"
	"fmt"
	"strconv"
)

// VMCoreInfo is a number that the kernel tells who reads its memory, by the name that it
// has in the note VMCOREINFO, which stands in the first 64 KiB of /proc/kcore
// (Documentation/admin-guide/kdump/vmcoreinfo.rst): "NUMBER(PG_hwpoison)".
func VMCoreInfo(elf []byte, name string) (uint64, error) {
	_, rest, found := bytes.Cut(elf, []byte("\n"+name+"="))
	value, _, whole := bytes.Cut(rest, []byte("\n"))
	if !found || !whole {
		return 0, fmt.Errorf("VMCOREINFO has no %s", name)
	}
	n, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("VMCOREINFO has %s=%.20q, which is no number", name, value)
	}
	return n, nil
}
