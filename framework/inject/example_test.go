package inject_test

import (
	"fmt"

	"github.com/faultline/faultline/framework/inject"
)

// A machine check for a cache line instead of a page, on every CPU.
func ExampleMachineCheck() {
	m := inject.SRAO().Bytes(64).Everywhere()
	fmt.Println(m)
	fmt.Println(m.Command(0, 0x100a04000))
	// Output:
	// machine check SRAO of 64 bytes, broadcast
	// mce -b 0 9 0xbd000000000000c0 0x5 0x100a04000 0x86
}

// An injection is a value. Guest.Inject of package framework applies it.
func ExampleInjection() {
	frame := inject.Frame{Addr: 0x100a04000, Page: 4096, Name: "file+0x4000"}
	for _, i := range []inject.Injection{inject.SoftOffline(frame), inject.CorruptPFN(frame, inject.Filter{}), inject.UCNA().At(frame)} {
		fmt.Println(i.Action)
	}
	// Output:
	// soft_offline_page of file+0x4000
	// corrupt-pfn of file+0x4000
	// machine check UCNA at file+0x4000
}
