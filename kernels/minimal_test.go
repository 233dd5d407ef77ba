package kernels

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/kernels/kconfig"
)

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
		"not there":                       {"", "EXT4_FS", "y"},
		"built in":                        {"CONFIG_EXT4_FS=y", "EXT4_FS", "y"},
		"a module":                        {"CONFIG_EXT4_FS=m", "EXT4_FS", "m"},
		"a module that is needed earlier": {"CONFIG_SERIAL_8250=m", "SERIAL_8250", "y"},
		"switched off":                    {"# CONFIG_EXT4_FS is not set", "EXT4_FS", "y"},
		"somebody's keys":                 {`CONFIG_SYSTEM_TRUSTED_KEYS="debian/certs/all.pem"`, "SYSTEM_TRUSTED_KEYS", ""},
		"not ours to set":                 {"CONFIG_MODULES=y", "MODULES", ""},
	} {
		t.Run(name, func(t *testing.T) {
			// The fragment comes behind the base: its lines hold.
			if got := parse(c.base + "\n" + MinimalConfigFor(parse(c.base))).Get(c.symbol); name != "not ours to set" && got != c.want {
				t.Errorf("%s=%q, want %q", c.symbol, got, c.want)
			}
		})
	}
	if MinimalConfigFor(nil) != MinimalConfig() {
		t.Error("on nothing it is another one")
	}
	if strings.Contains(MinimalConfig(), "#") || strings.Contains(MinimalConfig(), "\n\n") {
		t.Error("words about it would make another kernel")
	}
	asked := parse(MinimalConfig())
	for _, s := range loadable {
		if asked.Get(s) != "y" {
			t.Errorf("%s may be a module, and minimal.config does not ask for it", s)
		}
	}
	text := strings.NewReplacer("CONFIG_EXT4_FS=y", "CONFIG_EXT4_FS=m", "CONFIG_SERIAL_8250=y", "CONFIG_SERIAL_8250=m", "CONFIG_FS_DAX=y", "").Replace(MinimalConfig())
	if got := fmt.Sprint(Unmet(parse(text))); got != "[CONFIG_FS_DAX=y (got n) CONFIG_SERIAL_8250=y (got m)]" {
		t.Errorf("unmet: %s", got)
	}
	if len(Unmet(asked)) > 0 || !slices.IsSorted(asked.Symbols()) {
		t.Errorf("unmet where all is met: %v", Unmet(asked))
	}
}
