package kernels

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/kernels/kconfig"
)

// Settings that refer to another machine, or change the guest's behaviour, are replaced,
// independently of the rest of the configuration.
func TestForeign(t *testing.T) {
	const base = `CONFIG_64BIT=y
CONFIG_CMDLINE_BOOL=y
CONFIG_CMDLINE="panic_on_warn=1 nr_hugepages=4 say=\"x\""
CONFIG_CMDLINE_OVERRIDE=y
CONFIG_EXTRA_FIRMWARE="intel-ucode/06-55-04"
CONFIG_EXTRA_FIRMWARE_DIR="/lib/firmware"
CONFIG_INITRAMFS_SOURCE="/home/user/root"
CONFIG_BOOT_CONFIG_EMBED=y
CONFIG_BOOT_CONFIG_EMBED_FILE="/etc/bootconfig"
CONFIG_MODULE_SIG_KEY="pkcs11:object=key"
CONFIG_MODULE_SIG_HASH="sha256"
CONFIG_SYSTEM_TRUSTED_KEYS="debian/certs/all.pem"
CONFIG_SYSTEM_REVOCATION_KEYS=""
CONFIG_PANIC_ON_OOPS=y
CONFIG_PANIC_TIMEOUT=86400
CONFIG_BOOTPARAM_HUNG_TASK_PANIC=1
# CONFIG_BOOTPARAM_SOFTLOCKUP_PANIC is not set
CONFIG_DEFAULT_HOSTNAME="(none)"
`
	want := `CONFIG_BOOTPARAM_HUNG_TASK_PANIC=0
CONFIG_BOOT_CONFIG_EMBED=n
CONFIG_BOOT_CONFIG_EMBED_FILE=""
CONFIG_CMDLINE=""
CONFIG_CMDLINE_BOOL=n
CONFIG_CMDLINE_OVERRIDE=n
CONFIG_EXTRA_FIRMWARE=""
CONFIG_EXTRA_FIRMWARE_DIR=""
CONFIG_INITRAMFS_SOURCE=""
CONFIG_MODULE_SIG_KEY="certs/signing_key.pem"
CONFIG_PANIC_ON_OOPS=n
CONFIG_SYSTEM_TRUSTED_KEYS=""
`
	c, err := kconfig.ParseBytes([]byte(base))
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, s := range Foreign(c) {
		got += s.Line + "\n"
	}
	if got != want {
		t.Errorf("got replacements\n%s\nwant\n%s", got, want)
	}
	if !strings.HasSuffix(MinimalConfigFor(c), want) {
		t.Error("the fragment does not contain the replacements")
	}
	after, err := kconfig.ParseBytes([]byte(base + want))
	if err != nil || len(Foreign(after)) > 0 || after.Get("MODULE_SIG_HASH") != "sha256" || after.Get("DEFAULT_HOSTNAME") != "(none)" {
		t.Errorf("got error %v, remaining: %v; want none, sha256 and (none)", err, Foreign(after))
	}
	if s := Foreign(c)[3].String(); s != `CONFIG_CMDLINE="panic_on_warn=1 nr_hugepages=4 say=\"x\""` {
		t.Errorf("got %s, want CONFIG_CMDLINE with its quotes escaped", s)
	}
}

// The kind of a setting counts, not only the lists: a path of another machine for any
// symbol, and what refuses or disturbs the guest. Settings that only the running
// machine reads are not replaced.
func TestForeignOfAnyKind(t *testing.T) {
	for line, want := range map[string]string{
		`CONFIG_LOGO_LINUX_CLUT224_FILE="/home/user/logo.ppm"`: `CONFIG_LOGO_LINUX_CLUT224_FILE=""`,
		`CONFIG_VENDOR_BLOB="/build/vendor/blob.bin"`:          `CONFIG_VENDOR_BLOB=""`,
		`CONFIG_SYSTEM_REVOCATION_KEYS="/srv/keys/dbx.pem"`:    `CONFIG_SYSTEM_REVOCATION_KEYS=""`,
		`CONFIG_INITRAMFS_SOURCE="usr/root.cpio"`:              `CONFIG_INITRAMFS_SOURCE=""`,
		`CONFIG_MODULE_SIG_KEY="/srv/keys/modules.pem"`:        `CONFIG_MODULE_SIG_KEY="certs/signing_key.pem"`,
		`CONFIG_INITRAMFS_FORCE=y`:                             `CONFIG_INITRAMFS_FORCE=n`,
		`CONFIG_IMA_APPRAISE_BUILD_POLICY=y`:                   `CONFIG_IMA_APPRAISE_BUILD_POLICY=n`,
		`CONFIG_DEBUG_FS_ALLOW_NONE=y`:                         `CONFIG_DEBUG_FS_ALLOW_NONE=n`,
		`CONFIG_DEBUG_FS_DISALLOW_MOUNT=y`:                     `CONFIG_DEBUG_FS_DISALLOW_MOUNT=n`,
		`CONFIG_RCU_TORTURE_TEST=y`:                            `CONFIG_RCU_TORTURE_TEST=n`,
		`CONFIG_SERIAL_8250_RUNTIME_UARTS=0`:                   `CONFIG_SERIAL_8250_RUNTIME_UARTS=4`,
		`CONFIG_BOOTPARAM_SOFTLOCKUP_PANIC=y`:                  `CONFIG_BOOTPARAM_SOFTLOCKUP_PANIC=n`,
		`CONFIG_CMDLINE=" "`:                                   `CONFIG_CMDLINE=""`,

		`CONFIG_SERIAL_8250_RUNTIME_UARTS=32`:                     "",
		`CONFIG_MODULE_SIG_KEY="certs/signing_key.pem"`:           "",
		`CONFIG_MODPROBE_PATH="/sbin/modprobe"`:                   "",
		`CONFIG_UEVENT_HELPER_PATH="/usr/lib/hotplug"`:            "",
		`CONFIG_LOGO_LINUX_MONO_FILE="drivers/video/logo/x.pbm"`:  "",
		`CONFIG_DEFAULT_HOSTNAME="/"`:                             "",
		`CONFIG_CC_VERSION_TEXT="gcc (Debian 12.2.0-14) 12.2.0"`:  "",
		`CONFIG_LSM="landlock,lockdown,yama,integrity,apparmor"`:  "",
		`CONFIG_STATIC_USERMODEHELPER_PATH="/sbin/usermode-help"`: "",
	} {
		c, err := kconfig.ParseBytes([]byte(line + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, s := range Foreign(c) {
			got += s.Line
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

func TestMinimalConfigFor(t *testing.T) {
	parse := func(text string) *kconfig.Config {
		t.Helper()
		c, err := kconfig.ParseBytes([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for name, c := range map[string]struct {
		base, symbol, want string
	}{
		"not present":             {"", "EXT4_FS", "y"},
		"built in":                {"CONFIG_EXT4_FS=y", "EXT4_FS", "y"},
		"a module":                {"CONFIG_EXT4_FS=m", "EXT4_FS", "m"},
		"a module needed earlier": {"CONFIG_SERIAL_8250=m", "SERIAL_8250", "y"},
		"switched off":            {"# CONFIG_EXT4_FS is not set", "EXT4_FS", "y"},
		"keys of another machine": {`CONFIG_SYSTEM_TRUSTED_KEYS="debian/certs/all.pem"`, "SYSTEM_TRUSTED_KEYS", ""},
		"not ours to set":         {"CONFIG_MODULES=y", "MODULES", ""},
	} {
		t.Run(name, func(t *testing.T) {
			// The fragment follows the base: its lines win.
			if got := parse(c.base + "\n" + MinimalConfigFor(parse(c.base))).Get(c.symbol); name != "not ours to set" && got != c.want {
				t.Errorf("%s: got %q, want %q", c.symbol, got, c.want)
			}
		})
	}
	if MinimalConfigFor(nil) != MinimalConfig() {
		t.Error("MinimalConfigFor an empty base differs from MinimalConfig")
	}
	if strings.Contains(MinimalConfig(), "#") || strings.Contains(MinimalConfig(), "\n\n") {
		t.Error("comments would change the kernel's key")
	}
	asked := parse(MinimalConfig())
	for _, l := range loadable {
		if asked.Get(l.symbol) != "y" || l.module == "" {
			t.Errorf("%s is in loadable, but not in minimal.config, or has no module", l.symbol)
		}
	}
	text := strings.NewReplacer("CONFIG_EXT4_FS=y", "CONFIG_EXT4_FS=m", "CONFIG_SERIAL_8250=y", "CONFIG_SERIAL_8250=m", "CONFIG_FS_DAX=y", "").Replace(MinimalConfig())
	if got := fmt.Sprint(Unmet(parse(text))); got != "[CONFIG_FS_DAX=y (got n) CONFIG_SERIAL_8250=y (got m)]" {
		t.Errorf("got unmet %s, want CONFIG_FS_DAX (got n) and CONFIG_SERIAL_8250 (got m)", got)
	}
	if len(Unmet(asked)) > 0 || !slices.IsSorted(asked.Symbols()) {
		t.Errorf("got unmet %v, want none", Unmet(asked))
	}
}
