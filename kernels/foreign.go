package kernels

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/faultline/faultline/kernels/kconfig"
)

// Setting is one of a configuration that is replaced before a kernel is built.
type Setting struct {
	Symbol, Value string // as the configuration has it
	Line          string // what replaces it
}

func (s Setting) String() string { return fmt.Sprintf("CONFIG_%s=%q", s.Symbol, s.Value) }

// files name what lies on the machine that a configuration comes from: certificates,
// firmware, an initramfs, policies. Elsewhere the build fails after minutes.
var files = []string{
	"SYSTEM_TRUSTED_KEYS", "SYSTEM_REVOCATION_KEYS", "SYSTEM_BLACKLIST_HASH_LIST", "CFG80211_EXTRA_REGDB_KEYDIR",
	"EXTRA_FIRMWARE", "EXTRA_FIRMWARE_DIR", "INITRAMFS_SOURCE", "BOOT_CONFIG_EMBED_FILE", "ACPI_CUSTOM_DSDT_FILE",
	"UNUSED_KSYMS_WHITELIST", "IPE_BOOT_POLICY", "IMA_X509_PATH", "EVM_X509_PATH",
}

// texts and switches steer a guest: arguments that are built in, or replace those that
// it is started with, and what makes of a complaint a panic.
var (
	texts    = []string{"CMDLINE", "DEFAULT_INIT"}
	switches = []string{
		"CMDLINE_BOOL", "CMDLINE_OVERRIDE", "CMDLINE_FORCE", "CMDLINE_EXTEND", "BOOT_CONFIG_EMBED", "BOOT_CONFIG_FORCE", "IMA_LOAD_X509", "EVM_LOAD_X509",
		"PANIC_ON_OOPS", "BOOTPARAM_SOFTLOCKUP_PANIC", "BOOTPARAM_HARDLOCKUP_PANIC", "BOOTPARAM_HUNG_TASK_PANIC",
	}
)

// signingKey is the key that a build makes for itself (certs/Kconfig).
const signingKey = "certs/signing_key.pem"

// Foreign are the settings of a configuration that refer to files of another machine,
// or steer the guest, in the order of their names: they are replaced in a build.
func Foreign(base *kconfig.Config) (all []Setting) {
	for _, symbol := range base.Symbols() {
		value := base.Get(symbol)
		s := Setting{Symbol: symbol, Value: value}
		_, notNumber := strconv.Atoi(value)
		switch {
		case value == "", value == "n", value == "0":
			continue
		case slices.Contains(files, symbol), slices.Contains(texts, symbol):
			s.Line = fmt.Sprintf("CONFIG_%s=\"\"", symbol)
		case slices.Contains(switches, symbol) && notNumber == nil: // one that counts, as some came to do
			s.Line = fmt.Sprintf("CONFIG_%s=0", symbol)
		case slices.Contains(switches, symbol):
			s.Line = fmt.Sprintf("CONFIG_%s=n", symbol)
		case symbol == "MODULE_SIG_KEY" && value != signingKey:
			s.Line = fmt.Sprintf("CONFIG_%s=%q", symbol, signingKey)
		default:
			continue
		}
		all = append(all, s)
	}
	return all
}
