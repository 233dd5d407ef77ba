package kernels

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/faultline/faultline/kernels/kconfig"
)

// Setting is a symbol of a configuration that is replaced before a kernel is built.
type Setting struct {
	Symbol, Value string // as the configuration has it
	Line          string // the line of a .config that replaces it
}

func (s Setting) String() string { return fmt.Sprintf("CONFIG_%s=%q", s.Symbol, s.Value) }

// files are the symbols that name files of the machine where a configuration was made:
// certificates, firmware, an initramfs, policies. On another machine the build would fail
// after minutes.
var files = []string{
	"SYSTEM_TRUSTED_KEYS", "SYSTEM_REVOCATION_KEYS", "SYSTEM_BLACKLIST_HASH_LIST", "CFG80211_EXTRA_REGDB_KEYDIR",
	"EXTRA_FIRMWARE", "EXTRA_FIRMWARE_DIR", "INITRAMFS_SOURCE", "BOOT_CONFIG_EMBED_FILE", "ACPI_CUSTOM_DSDT_FILE",
	"UNUSED_KSYMS_WHITELIST", "IPE_BOOT_POLICY", "IMA_X509_PATH", "EVM_X509_PATH",
}

// ofGuest are directories for programs and files of a running machine: settings with such
// paths do not affect a build.
var ofGuest = []string{
	"/bin/",
	"/dev/",
	"/etc/",
	"/lib/",
	"/proc/",
	"/run/",
	"/sbin/",
	"/sys/",
	"/usr/bin/",
	"/usr/lib/",
	"/usr/sbin/",
	"/var/",
}

// elsewhere reports whether a value is the path of a file that a build would read, for
// any symbol.
func elsewhere(value string) bool {
	return strings.HasPrefix(value, "/") && strings.Count(value, "/") > 1 &&
		!slices.ContainsFunc(ofGuest, func(p string) bool { return strings.HasPrefix(value, p) })
}

// texts and switches are symbols that change a guest's behaviour: built-in kernel
// arguments, those that override the command line, those that turn warnings into panics,
// those that refuse modules and files, and tests that run from boot on.
var (
	texts    = []string{"CMDLINE", "DEFAULT_INIT"}
	switches = []string{
		"CMDLINE_BOOL",
		"CMDLINE_OVERRIDE",
		"CMDLINE_FORCE",
		"CMDLINE_EXTEND",
		"BOOT_CONFIG_EMBED",
		"BOOT_CONFIG_FORCE",
		"IMA_LOAD_X509",
		"EVM_LOAD_X509",
		"PANIC_ON_OOPS",
		"BOOTPARAM_SOFTLOCKUP_PANIC",
		"BOOTPARAM_HARDLOCKUP_PANIC",
		"BOOTPARAM_HUNG_TASK_PANIC",
		"INITRAMFS_FORCE",
		"IMA_APPRAISE_BUILD_POLICY",
		"DEBUG_FS_ALLOW_NONE",
		"DEBUG_FS_DISALLOW_MOUNT",
		"RCU_TORTURE_TEST",
		"RCU_SCALE_TEST",
		"RCU_REF_SCALE_TEST",
		"LOCK_TORTURE_TEST",
		"SCF_TORTURE_TEST",
	}
)

// uarts is the default number of serial ports that a kernel registers: with 0 a guest
// has no console (drivers/tty/serial/8250/Kconfig; the default there is 4).
const uarts = "SERIAL_8250_RUNTIME_UARTS"

// GuestSettings returns the settings by which an already built kernel changes its guests'
// behaviour: built-in arguments, panics on warnings, tests that run from boot on.
func GuestSettings(c *kconfig.Config) []Setting {
	return slices.DeleteFunc(Foreign(c), func(s Setting) bool {
		switch {
		case s.Symbol == "CMDLINE":
			return !c.Enabled("CMDLINE_BOOL")
		case s.Symbol == "BOOT_CONFIG_EMBED",
			s.Symbol == "PANIC_ON_OOPS",
			strings.HasSuffix(s.Symbol, "_PANIC"),
			strings.HasSuffix(s.Symbol, "_TEST"):
			return false
		}
		return true
	})
}

// signingKey is the key that a build generates (certs/Kconfig).
const signingKey = "certs/signing_key.pem"

// Foreign returns the settings of a configuration that refer to files of another machine,
// or change the guest's behaviour, sorted by name: a build replaces them.
func Foreign(base *kconfig.Config) (all []Setting) {
	for _, symbol := range base.Symbols() {
		value := base.Get(symbol)
		s := Setting{Symbol: symbol, Value: value}
		_, notNumber := strconv.Atoi(value)
		switch {
		case symbol == uarts && value == "0":
			s.Line = "CONFIG_" + uarts + "=4"
		case value == "", value == "n", value == "0":
			continue
		case symbol == "MODULE_SIG_KEY":
			if value == signingKey {
				continue
			}
			s.Line = fmt.Sprintf("CONFIG_%s=%q", symbol, signingKey)
		case slices.Contains(files, symbol), slices.Contains(texts, symbol), elsewhere(value):
			s.Line = fmt.Sprintf("CONFIG_%s=\"\"", symbol)
		case slices.Contains(switches, symbol) && notNumber == nil: // became a number in later kernels
			s.Line = fmt.Sprintf("CONFIG_%s=0", symbol)
		case slices.Contains(switches, symbol):
			s.Line = fmt.Sprintf("CONFIG_%s=n", symbol)
		default:
			continue
		}
		all = append(all, s)
	}
	return all
}
