package inject

import (
	"context"
	"fmt"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// Injections through interfaces of the guest's kernel. None of them is a machine check
// that an access consumed: see MachineCheck for those.

// write returns an injection into memory that writes files of the guest, in order, until a
// write fails.
func write(action, module string, files ...[2]string) Injection {
	return Injection{
		Action: action, Module: module, Memory: true,
		Apply: func(ctx context.Context, g Guest) (observe.Outcome, error) {
			for _, f := range files {
				reply, err := g.Call(ctx, &wire.Request{WriteFile: &wire.WriteFile{Path: f[0], Data: []byte(f[1])}})
				if err != nil {
					return observe.Outcome{}, err
				}
				if reply.File.Errno != "" {
					return observe.Outcome{Errno: reply.File.Errno}, nil
				}
			}
			return observe.Outcome{}, nil
		},
	}
}

const (
	hwpoisonDir  = "/sys/kernel/debug/hwpoison/"
	mceInjectDir = "/sys/kernel/debug/mce-inject/"
	memoryDir    = "/sys/devices/system/memory/"
)

// Filter restricts the pages that corrupt-pfn poisons (mm/hwpoison-inject.c;
// Documentation/mm/hwpoison.rst). The zero Filter selects all pages.
type Filter struct {
	// Major and Minor are the block device of the page's file; Major 0 selects any.
	Major, Minor uint32
	// FlagsMask and FlagsValue select pages by their flags (/proc/kpageflags); FlagsMask
	// 0 selects any.
	FlagsMask, FlagsValue uint64
}

// Files returns the files that set the filter, each with its content, in that order.
func (f Filter) Files() [][2]string {
	if f == (Filter{}) {
		return nil
	}
	var files [][2]string
	set := func(name, value string) {
		files = append(files, [2]string{hwpoisonDir + "corrupt-filter-" + name, value})
	}
	if f.Major != 0 {
		set("dev-major", fmt.Sprint(f.Major))
		set("dev-minor", fmt.Sprint(f.Minor))
	}
	if f.FlagsMask != 0 {
		set("flags-mask", fmt.Sprintf("%#x", f.FlagsMask))
		set("flags-value", fmt.Sprintf("%#x", f.FlagsValue))
	}
	set("enable", "1")
	return files
}

func (f Filter) String() string {
	text := ""
	if f.Major != 0 {
		text += ", on one device only" // whose numbers differ between kernels
	}
	if f.FlagsMask != 0 {
		text += fmt.Sprintf(", with flags %#x of %#x only", f.FlagsValue, f.FlagsMask)
	}
	return text
}

// CorruptPFN makes the kernel call memory_failure() for a page (hwpoison_inject in
// mm/hwpoison-inject.c). The current process is the guest's agent, not the victim.
func CorruptPFN(f Frame, filter Filter) Injection {
	return write(fmt.Sprintf("corrupt-pfn of %s%s", f.Name, filter), "hwpoison_inject",
		append(filter.Files(), [2]string{hwpoisonDir + "corrupt-pfn", fmt.Sprintf("%#x", f.Addr/f.Page)})...)
}

// UnpoisonPFN removes a page's poison, if the kernel allows that (unpoison_memory in
// mm/memory-failure.c).
func UnpoisonPFN(f Frame) Injection {
	return write(
		"unpoison-pfn of "+f.Name,
		"hwpoison_inject",
		[2]string{hwpoisonDir + "unpoison-pfn", fmt.Sprintf("%#x", f.Addr/f.Page)},
	)
}

// HardOffline makes the kernel call memory_failure() for a page through sysfs
// (hard_offline_page_store in drivers/base/memory.c).
func HardOffline(f Frame) Injection {
	return write(
		"hard_offline_page of "+f.Name,
		"",
		[2]string{memoryDir + "hard_offline_page", fmt.Sprintf("%#x", f.Addr&^(f.Page-1))},
	)
}

// SoftOffline moves a page's content elsewhere and takes the page out of use
// (soft_offline_page in mm/memory-failure.c).
func SoftOffline(f Frame) Injection {
	return write(
		"soft_offline_page of "+f.Name,
		"",
		[2]string{memoryDir + "soft_offline_page", fmt.Sprintf("%#x", f.Addr&^(f.Page-1))},
	)
}

// Simulated adds the machine check to the kernel's queue with mce-inject, flags sw: the
// kernel's MCE notifier chain runs (the nfit driver adds a bad block), but there is no
// exception, and memory_failure() is not called, because the severity is not graded
// (raise_mce in arch/x86/kernel/cpu/mce/inject.c).
func (m MachineCheck) Simulated(f Frame) Injection { return m.mceInject("sw", f) }

// InGuest raises the machine check with mce-inject, flags hw: the kernel writes the
// bank's registers and calls the exception's vector, in kernel context. No access
// consumed the poison, so the guest survives only SRAO.
func (m MachineCheck) InGuest(f Frame) Injection { return m.mceInject("hw", f) }

func (m MachineCheck) mceInject(flags string, f Frame) Injection {
	set := func(name, format string, value any) [2]string {
		return [2]string{mceInjectDir + name, fmt.Sprintf(format, value)}
	}
	i := write(fmt.Sprintf("mce-inject %s %s at %s", flags, m, f.Name), "mce_inject",
		// flags_write removes the last byte, even if it is not a newline.
		set("flags", "%s\n", flags), set("cpu", "%d", 0), set("status", "%#x", m.Status.Encode()),
		set("addr", "%#x", f.Addr), set("misc", "%#x", m.Misc.Encode()), set("bank", "%d", m.Bank))
	apply := i.Apply
	i.Apply = func(ctx context.Context, g Guest) (observe.Outcome, error) {
		if m.Status.AR && flags == "hw" && !m.Reckless {
			return observe.Outcome{}, &FatalError{
				m,
				"mce-inject raises it in kernel context, where the kernel does not recover from action-required errors",
			}
		}
		return apply(ctx, g)
	}
	return i
}
