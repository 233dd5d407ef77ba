package needs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/faultline/faultline/guest/required"
	"github.com/faultline/faultline/kernels"
)

// integrity and confidentiality are the kernel's lockdown levels
// (include/linux/security.h, lockdown_reason).
const (
	integrity = 1 + iota
	confidentiality
)

// locked lists the symbols whose files a kernel does not allow to open at a lockdown level
// or a higher one: a scenario that uses them gets EPERM.
var locked = []struct {
	symbol string
	level  int
	what   string
}{
	{"DEBUG_FS", integrity, "debugfs"},
	{"HWPOISON_INJECT", integrity, "hwpoison's debugfs files"},
	{"X86_MCE_INJECT", integrity, "mce-inject's debugfs files"},
	{"PROC_KCORE", confidentiality, "/proc/kcore"},
}

// lockdown returns the level that a kernel's configuration enforces, and the symbol that
// does; 0 and "" if there is none.
func lockdown(k *kernels.Kernel) (level int, symbol string) {
	early := k.Config.Enabled("SECURITY_LOCKDOWN_LSM_EARLY")
	lsm := cmp.Or(builtIn(k, "lsm"), k.Config.Get("LSM"))
	if !k.Config.Enabled("SECURITY_LOCKDOWN_LSM") || !early && !slices.Contains(strings.Split(lsm, ","), "lockdown") {
		return 0, "" // the LSM that would enforce it is not initialized
	}
	for at, forces := range []string{
		integrity: "LOCK_DOWN_KERNEL_FORCE_INTEGRITY", confidentiality: "LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY",
	} {
		if forces != "" && k.Config.Enabled(forces) {
			level, symbol = at, forces
			break
		}
	}
	// An argument can raise the level, but not lower it.
	levels := map[string]int{"integrity": integrity, "confidentiality": confidentiality}
	if asked := levels[builtIn(k, "lockdown")]; asked > level {
		return asked, "CMDLINE"
	}
	return level, symbol
}

// closedDebugfs returns the symbol by which a kernel forbids debugfs: it cannot be mounted,
// or it has no files (fs/debugfs/inode.c, debugfs_allow); "" if there is none.
func closedDebugfs(k *kernels.Kernel) string {
	for _, s := range []string{"DEBUG_FS_ALLOW_NONE", "DEBUG_FS_DISALLOW_MOUNT"} {
		if k.Config.Enabled(s) {
			return s
		}
	}
	if v := builtIn(k, "debugfs"); v == "off" || v == "no-mount" {
		return "CMDLINE"
	}
	return ""
}

// appraisal makes IMA require a signature in the attributes of a module's file
// (security/integrity/ima/ima_policy.c, build_appraise_rules).
const appraisal = "IMA_APPRAISE_REQUIRE_MODULE_SIGS"

// builtIn returns the value of an argument in a kernel's built-in command line, "" if it
// is not there. An argument without a value has its own name as the value.
func builtIn(k *kernels.Kernel, name string) (value string) {
	if !k.Config.Enabled("CMDLINE_BOOL") {
		return ""
	}
	for arg := range strings.FieldsSeq(k.Config.Get("CMDLINE")) {
		if arg == "--" { // the rest are init's
			break
		}
		switch n, v, has := strings.Cut(arg, "="); {
		case n != name:
		case has:
			value = v // the last one counts
		default:
			value = name
		}
	}
	return value
}

// unusable returns why a kernel cannot be used for a need that it has; "" if it can. If
// modules of every guest are missing, the kernel was not given as a whole: that is found
// when it boots, because a run that skips all of its cells would look like a success.
func unusable(k *kernels.Kernel, needs []string) string {
	guests, _ := k.NoModule(required.Symbols()...)
	if symbol, module := k.NoModule(needs...); symbol != "" && guests == "" {
		return fmt.Sprintf("%s is built with %s%s=m, but has no module %s%s", k.Name, prefix, symbol, module, packageWith(k))
	}
	return denial(k, needs)
}

// denial returns why a kernel forbids a need that it has: it is locked down, forbids
// debugfs, or only loads signed modules; "" if it does not.
func denial(k *kernels.Kernel, needs []string) string {
	level, by := lockdown(k)
	for _, l := range locked {
		if level >= l.level &&
			slices.ContainsFunc(needs, func(n string) bool { return strings.TrimPrefix(n, prefix) == l.symbol }) {
			return fmt.Sprintf("%s is locked down (%s%s), which forbids %s", k.Name, prefix, by, l.what)
		}
	}
	if symbol := closedDebugfs(k); symbol != "" {
		for _, l := range locked {
			if l.level == integrity &&
				slices.ContainsFunc(needs, func(n string) bool { return strings.TrimPrefix(n, prefix) == l.symbol }) {
				return fmt.Sprintf("%s forbids debugfs (%s%s), which includes %s", k.Name, prefix, symbol, l.what)
			}
		}
	}
	if k.Config.Enabled(appraisal) && k.Config.Enabled("IMA_APPRAISE_BUILD_POLICY") {
		for _, n := range needs {
			if k.Config.Get(n) == "m" {
				return fmt.Sprintf(
					"%s appraises modules (%s%s), but a guest's files have no signature: it cannot load the module of %s%s",
					k.Name,
					prefix,
					appraisal,
					prefix,
					strings.TrimPrefix(n, prefix),
				)
			}
		}
	}
	switch {
	case level > 0:
	case k.Config.Enabled("MODULE_SIG_FORCE"):
		by = "MODULE_SIG_FORCE"
	case k.Config.Enabled("MODULE_SIG") &&
		slices.Contains([]string{"module.sig_enforce", "1", "y", "Y"}, builtIn(k, "module.sig_enforce")):
		by = "CMDLINE"
	}
	if by == "" || k.ModulesSigned() {
		return ""
	}
	for _, n := range needs {
		if k.Config.Get(n) == "m" {
			return fmt.Sprintf(
				"%s only loads signed modules (%s%s), but its modules are not signed: it cannot load the module of %s%s",
				k.Name,
				prefix,
				by,
				prefix,
				strings.TrimPrefix(n, prefix),
			)
		}
	}
	return ""
}

// guestDenial returns why a kernel forbids what every guest needs; "" if it does not.
func guestDenial(k *kernels.Kernel) string {
	for _, s := range []string{"CMDLINE_OVERRIDE", "CMDLINE_FORCE"} {
		if k.Config.Enabled(s) {
			return fmt.Sprintf(
				"no guest runs on %s: it ignores its command line (%s%s), so it has no console and no key for PID 1",
				k.Name,
				prefix,
				s,
			)
		}
	}
	var symbols []string
	for _, n := range required.Needs() {
		symbols = append(symbols, n.Symbol)
	}
	return denial(k, symbols)
}

// Refusal is why a kernel forbids something that it has, and the scenarios that are
// skipped for it.
type Refusal struct {
	Why       string
	Scenarios []string
}

// refuse adds a scenario to those with the same reason.
func (r *Report) refuse(why, id string) {
	i := slices.IndexFunc(r.Refused, func(x Refusal) bool { return x.Why == why })
	if i < 0 {
		i = len(r.Refused)
		r.Refused = append(r.Refused, Refusal{Why: why})
	}
	r.Refused[i].Scenarios = append(r.Refused[i].Scenarios, id)
}
