package tree

import (
	"slices"
	"testing"

	"github.com/faultline/faultline/kernels/kconfig"
)

// A debug configuration of the user must not silently lose its checkers in Kconfig.
func TestDropped(t *testing.T) {
	parse := func(text string) *kconfig.Config {
		c, err := kconfig.ParseBytes([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	given := parse("CONFIG_ACPI_X=y\nCONFIG_KASAN=y\nCONFIG_LOCKDEP=m\nCONFIG_NET=y\nCONFIG_USB=m\nCONFIG_CC_HAS_X=y\nCONFIG_HZ=250\n# CONFIG_SMP is not set\nCONFIG_PANIC=y\n")
	const fragment = "CONFIG_PANIC=n\nCONFIG_EXT4_FS=y\n"
	for got, want := range map[string][]string{
		"CONFIG_ACPI_X=y\nCONFIG_KASAN=y\nCONFIG_LOCKDEP=y\nCONFIG_NET=y\nCONFIG_USB=m\n":  nil,
		"CONFIG_NET=m\nCONFIG_USB=m\nCONFIG_SMP=y\nCONFIG_HZ=100\nCONFIG_ACPI_X=y\n":       {"CONFIG_KASAN", "CONFIG_LOCKDEP"},
		"CONFIG_NET=y\nCONFIG_LOCKDEP=y\n# CONFIG_KASAN is not set\nCONFIG_ARCH_HAS_Y=y\n": {"CONFIG_KASAN", "CONFIG_ACPI_X", "CONFIG_USB"},
	} {
		if lost := dropped(given, fragment, parse(got)); !slices.Equal(lost, want) {
			t.Errorf("%q: got %v, want %v", got, lost, want)
		}
	}
	if lost := dropped(nil, fragment, parse("")); lost != nil {
		t.Errorf("without a configuration: got %v, want none", lost)
	}
}
