package needs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/guest/required"
	"github.com/faultline/faultline/internal/fake"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/kconfig"
)

// hardened returns a kernel with a guest's needs built in, additional lines, and a module,
// which may be signed.
func hardened(t *testing.T, lines string, signed bool) *kernels.Kernel {
	t.Helper()
	text := ""
	for _, n := range required.Needs() {
		text += "CONFIG_" + n.Symbol + "=y\n"
	}
	c, err := kconfig.ParseBytes([]byte(text + lines))
	if err != nil {
		t.Fatal(err)
	}
	module := fake.Module("ext4", "6.1.0")
	if signed {
		module = append(module, "sig~Module signature appended~\n"...)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ext4.ko"), module, 0o644); err != nil {
		t.Fatal(err)
	}
	return &kernels.Kernel{Name: "K", Config: c, ModulesDir: dir}
}

// Settings of a kernel built elsewhere that affect its guests are reported with their
// values.
func TestSteered(t *testing.T) {
	for lines, want := range map[string]string{
		"": "",
		"CONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"panic_on_warn=1 nr_hugepages=4\"\n": `built with CONFIG_CMDLINE="panic_on_warn=1 nr_hugepages=4", which affects every guest`,
		"CONFIG_CMDLINE=\"panic_on_warn=1\"\n":                                       "", // without CMDLINE_BOOL nothing reads it
		"CONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"\"\n":                               "",
		"CONFIG_PANIC_ON_OOPS=y\n":                                                   `CONFIG_PANIC_ON_OOPS="y"`,
		"CONFIG_BOOTPARAM_HUNG_TASK_PANIC=1\n":                                       `CONFIG_BOOTPARAM_HUNG_TASK_PANIC="1"`,
		"CONFIG_BOOTPARAM_SOFTLOCKUP_PANIC=0\n":                                      "",
		"CONFIG_BOOT_CONFIG_EMBED=y\n":                                               `CONFIG_BOOT_CONFIG_EMBED="y"`,
		"CONFIG_RCU_TORTURE_TEST=y\n":                                                `CONFIG_RCU_TORTURE_TEST="y"`,
		"CONFIG_SYSTEM_TRUSTED_KEYS=\"debian/certs/all.pem\"\n":                      "", // it is built
		"CONFIG_EXTRA_FIRMWARE=\"x.bin\"\nCONFIG_DEFAULT_INIT=\"/sbin/init\"\n":      "",
	} {
		r := Of(hardened(t, lines, true), []scenario.Info{{ID: "a/b"}})
		brief := strings.Join(r.Brief(), "\n")
		if (brief == "") != (want == "") || !strings.Contains(brief, want) || !strings.Contains(r.String(), want) || r.Count() > 0 {
			t.Errorf("%q: got %d lost, the brief %q, want none lost, %q:\n%s", lines, r.Count(), brief, want, r)
		}
	}
}

// Scenarios that need something forbidden are skipped, with lockdown or signatures as the
// reason: the guest's EPERM would not be a behaviour under test.
func TestLockdown(t *testing.T) {
	const (
		has   = "CONFIG_DEBUG_FS=y\nCONFIG_HWPOISON_INJECT=m\nCONFIG_X86_MCE_INJECT=y\nCONFIG_PROC_KCORE=y\nCONFIG_EXT4_FS=m\nCONFIG_MEMORY_FAILURE=y\n"
		lsm   = "CONFIG_SECURITY_LOCKDOWN_LSM=y\nCONFIG_LSM=\"landlock,lockdown,yama\"\n"
		whole = lsm + "CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY=y\n"
		part  = lsm + "CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY=y\n"
	)
	for name, c := range map[string]struct {
		lines    string
		unsigned bool
		needs    string
		want     string
	}{
		"nothing":                      {"", true, "DEBUG_FS HWPOISON_INJECT PROC_KCORE EXT4_FS", ""},
		"lockdown that may be asked":   {lsm + "CONFIG_LOCK_DOWN_KERNEL_FORCE_NONE=y\n", true, "DEBUG_FS PROC_KCORE EXT4_FS", ""},
		"integrity, debugfs":           {part, false, "HWPOISON_INJECT DEBUG_FS", "K is locked down (CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY), which forbids debugfs"},
		"integrity, hwpoison":          {part, false, "CONFIG_HWPOISON_INJECT", "which forbids hwpoison's debugfs files"},
		"integrity, mce-inject":        {part, false, "MEMORY_FAILURE X86_MCE_INJECT", "which forbids mce-inject's debugfs files"},
		"integrity, kcore":             {part, false, "PROC_KCORE", ""},
		"integrity, the rest":          {part, false, "MEMORY_FAILURE EXT4_FS", ""},
		"integrity, unsigned":          {part, true, "EXT4_FS", "K only loads signed modules (CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY), but its modules are not signed: it cannot load the module of CONFIG_EXT4_FS"},
		"integrity, built in":          {part, true, "MEMORY_FAILURE", ""},
		"confidentiality, kcore":       {whole, false, "PROC_KCORE", "(CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY), which forbids /proc/kcore"},
		"confidentiality, debugfs":     {whole, false, "DEBUG_FS", "which forbids debugfs"},
		"confidentiality, the rest":    {whole, false, "EXT4_FS", ""},
		"the LSM is not initialized":   {strings.Replace(part, "lockdown,", "", 1), false, "DEBUG_FS", ""},
		"the LSM is initialized early": {strings.Replace(part, "lockdown,", "", 1) + "CONFIG_SECURITY_LOCKDOWN_LSM_EARLY=y\n", false, "DEBUG_FS", "which forbids debugfs"},
		"no LSM":                       {"CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY=y\n", false, "DEBUG_FS", ""},
		"signatures, unsigned":         {"CONFIG_MODULE_SIG_FORCE=y\n", true, "EXT4_FS", "K only loads signed modules (CONFIG_MODULE_SIG_FORCE), but"},
		"signatures, signed":           {"CONFIG_MODULE_SIG_FORCE=y\n", false, "EXT4_FS", ""},
		"no debugfs":                   {"CONFIG_DEBUG_FS_ALLOW_NONE=y\n", false, "HWPOISON_INJECT", "K forbids debugfs (CONFIG_DEBUG_FS_ALLOW_NONE), which includes hwpoison's debugfs files"},
		"debugfs can't be mounted":     {"CONFIG_DEBUG_FS_DISALLOW_MOUNT=y\n", false, "CONFIG_DEBUG_FS", "K forbids debugfs (CONFIG_DEBUG_FS_DISALLOW_MOUNT), which includes debugfs"},
		"no debugfs, the rest":         {"CONFIG_DEBUG_FS_ALLOW_NONE=y\n", false, "PROC_KCORE EXT4_FS MEMORY_FAILURE", ""},
		"debugfs, open":                {"CONFIG_DEBUG_FS_ALLOW_ALL=y\n# CONFIG_DEBUG_FS_ALLOW_NONE is not set\n", false, "DEBUG_FS", ""},
		"appraised modules":            {"CONFIG_IMA_APPRAISE_BUILD_POLICY=y\nCONFIG_IMA_APPRAISE_REQUIRE_MODULE_SIGS=y\n", false, "MEMORY_FAILURE EXT4_FS", "K appraises modules (CONFIG_IMA_APPRAISE_REQUIRE_MODULE_SIGS), but a guest's files have no signature: it cannot load the module of CONFIG_EXT4_FS"},
		"appraised, built in":          {"CONFIG_IMA_APPRAISE_BUILD_POLICY=y\nCONFIG_IMA_APPRAISE_REQUIRE_MODULE_SIGS=y\n", false, "MEMORY_FAILURE", ""},
		"appraised, but no policy":     {"CONFIG_IMA_APPRAISE_REQUIRE_MODULE_SIGS=y\n", false, "EXT4_FS", ""},
		"lockdown that is built in":    {lsm + "CONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"quiet lockdown=integrity\"\n", false, "DEBUG_FS", "K is locked down (CONFIG_CMDLINE), which forbids debugfs"},
		"its level, the last":          {lsm + "CONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"lockdown=integrity lockdown=confidentiality\"\n", false, "PROC_KCORE", "(CONFIG_CMDLINE), which forbids /proc/kcore"},
		"an argument lowers no level":  {whole + "CONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"lockdown=integrity\"\n", false, "PROC_KCORE", "(CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY), which forbids /proc/kcore"},
		"built in, and not used":       {lsm + "CONFIG_CMDLINE=\"lockdown=integrity\"\n", false, "DEBUG_FS", ""},
		"an argument of init's":        {lsm + "CONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"quiet -- lockdown=integrity\"\n", false, "DEBUG_FS", ""},
		"other modules by argument":    {part + "CONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"lsm=yama\"\n", false, "DEBUG_FS", ""},
		"lockdown's by argument":       {strings.Replace(part, "lockdown,", "", 1) + "CONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"lsm=yama,lockdown\"\n", false, "DEBUG_FS", "which forbids debugfs"},
		"signatures by argument":       {"CONFIG_MODULE_SIG=y\nCONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"module.sig_enforce\"\n", true, "EXT4_FS", "K only loads signed modules (CONFIG_CMDLINE), but"},
		"signatures by argument, 1":    {"CONFIG_MODULE_SIG=y\nCONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"module.sig_enforce=1\"\n", true, "EXT4_FS", "K only loads signed modules (CONFIG_CMDLINE), but"},
		"signatures by argument, 0":    {"CONFIG_MODULE_SIG=y\nCONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"module.sig_enforce=0\"\n", true, "EXT4_FS", ""},
		"no debugfs by argument":       {"CONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"debugfs=off\"\n", false, "HWPOISON_INJECT", "K forbids debugfs (CONFIG_CMDLINE), which includes hwpoison's debugfs files"},
		"lockdown, and debugfs closed": {part + "CONFIG_DEBUG_FS_ALLOW_NONE=y\n", false, "DEBUG_FS", "K is locked down"},
		"a guest's module, appraised":  {"CONFIG_IMA_APPRAISE_BUILD_POLICY=y\nCONFIG_IMA_APPRAISE_REQUIRE_MODULE_SIGS=y\nCONFIG_VIRTIO_PCI=m\n", false, "", "it cannot load the module of CONFIG_VIRTIO_PCI"},
		"arguments that are built in":  {"CONFIG_CMDLINE=\"quiet\"\nCONFIG_CMDLINE_BOOL=y\n", false, "", ""},
		"and no others":                {"CONFIG_CMDLINE_OVERRIDE=y\n", false, "", "no guest runs on K: it ignores its command line (CONFIG_CMDLINE_OVERRIDE)"},
		"a guest's own module":         {"CONFIG_MODULE_SIG_FORCE=y\nCONFIG_VIRTIO_NET=m\n", true, "", "it cannot load the module of CONFIG_VIRTIO_NET"},
	} {
		t.Run(name, func(t *testing.T) {
			k := hardened(t, has+c.lines, !c.unsigned)
			i := scenario.Info{ID: "a/b", Needs: strings.Fields(c.needs)}
			got := Impossible(k, i)
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			r := Of(k, []scenario.Info{i})
			brief := strings.Join(r.Brief(), "\n")
			if (r.Count() == 1) != (c.want != "") || !strings.Contains(r.String(), c.want) || !strings.Contains(brief, c.want) {
				t.Errorf("got %d lost, the brief %q, want %q:\n%s", r.Count(), brief, c.want, r)
			}
		})
	}
}

// A module that is in a package that was not given skips the scenarios that need it, with
// the name of the package.
func TestMissingModule(t *testing.T) {
	text := "CONFIG_HWPOISON_INJECT=m\nCONFIG_EXT4_FS=m\nCONFIG_XFS_FS=y\n"
	for packages, want := range map[string]string{
		"":                           "K is built with CONFIG_HWPOISON_INJECT=m, but has no module hwpoison-inject",
		"kernel-core kernel-modules": "; add the package kernel-modules-internal or kernel-modules-extra of the same build",
		"kernel-uek-core":            "; add the package kernel-uek-modules-internal or kernel-uek-modules-extra of the same build",
		"kernel-modules kernel-core": "; add the package kernel-modules-internal or kernel-modules-extra of the same build",
		"kernel-modules-core kernel-modules-extra":                 "; add the package kernel-modules-internal of the same build",
		"kernel-core kernel-modules-internal kernel-modules-extra": "but has no module hwpoison-inject",
		"kernel-default":                          "; add the package kernel-default-optional or kernel-default-extra of the same build",
		"kernel-default-extra kernel-default":     "; add the package kernel-default-optional of the same build",
		"linux-image-6.8 linux-modules-extra-6.8": "but has no module hwpoison-inject",
		"linux-modules-6.8 linux-base":            "; add the package linux-modules-extra-6.8, if there is one",
	} {
		k := hardened(t, text, false)
		k.Release = "6.8"
		if err := os.WriteFile(filepath.Join(k.ModulesDir, "modules.dep"), []byte("ext4.ko:\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Fields(packages) {
			k.Packages = append(k.Packages, kernels.Package{Name: name})
		}
		i := scenario.Info{ID: "a/b", Needs: []string{"HWPOISON_INJECT"}}
		if got := Impossible(k, i); !strings.HasSuffix(got, want) {
			t.Errorf("%s: got %q, want %q", packages, got, want)
		}
		if r := Of(k, []scenario.Info{i, {ID: "a/c", Needs: []string{"EXT4_FS", "XFS_FS"}}}); r.Count() != 1 || !strings.Contains(r.String(), want) {
			t.Errorf("%s: got %s, want 1 lost, and %q", packages, r, want)
		}
	}
	k := hardened(t, text+"CONFIG_VIRTIO_NET=m\n", false)
	if err := os.WriteFile(filepath.Join(k.ModulesDir, "modules.dep"), []byte("ext4.ko:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := Impossible(k, scenario.Info{ID: "a/b", Needs: []string{"HWPOISON_INJECT"}}); got != "" {
		t.Errorf("without the modules of guests: got %q, want none", got)
	}
}
