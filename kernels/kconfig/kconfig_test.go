package kconfig

import (
	"slices"
	"strings"
	"testing"
)

const sample = `#
# Automatically generated file; DO NOT EDIT.
# Linux/x86 6.1.192 Kernel Configuration
#
CONFIG_CC_VERSION_TEXT="gcc-12 (Debian 12.2.0-14) \"12\" \\ "
CONFIG_64BIT=y
CONFIG_EXT4_FS=m
# CONFIG_XFS_FS is not set
CONFIG_NR_CPUS=8192

CONFIG_EMPTY=""
`

func TestParse(t *testing.T) {
	c, err := ParseBytes([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	for sym, want := range map[string]string{
		"64BIT": "y", "CONFIG_64BIT": "y", "EXT4_FS": "m", "XFS_FS": "", "NR_CPUS": "8192", "EMPTY": "",
		"CC_VERSION_TEXT": `gcc-12 (Debian 12.2.0-14) "12" \ `,
	} {
		if got := c.Get(sym); got != want {
			t.Errorf("Get(%s): got %q, want %q", sym, got, want)
		}
	}
	if got := c.KernelVersion(); got != "6.1.192" {
		t.Errorf("KernelVersion: got %q, want 6.1.192", got)
	}
	got := c.Missing("EXT4_FS", "XFS_FS", "64BIT", "CONFIG_NFIT", "NR_CPUS")
	if want := []string{"XFS_FS", "CONFIG_NFIT", "NR_CPUS"}; !slices.Equal(got, want) {
		t.Errorf("Missing: got %v, want %v", got, want)
	}
	if got, want := c.Symbols(), []string{"64BIT", "CC_VERSION_TEXT", "EMPTY", "EXT4_FS", "NR_CPUS"}; !slices.Equal(got, want) {
		t.Errorf("Symbols: got %v, want %v", got, want)
	}
	if c.Missing("64BIT") != nil {
		t.Error("Missing of a set symbol: got a non-nil result")
	}
}

func TestNilConfigHasNothing(t *testing.T) {
	var c *Config
	if c.Enabled("64BIT") || c.Len() != 0 || len(c.Symbols()) != 0 || len(c.Missing("A")) != 1 {
		t.Error("a nil Config has symbols set")
	}
}

func TestParseErrors(t *testing.T) {
	for name, in := range map[string]string{
		"no value":          "CONFIG_A=y\nCONFIG_B\n",
		"no prefix":         "CONFIG_A=y\nB=y\n",
		"not text":          "CONFIG_A=y\n\x7fELF\x02\n",
		"string has no end": "CONFIG_A=y\nCONFIG_B=\"x\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(strings.NewReader(in))
			if err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
				t.Errorf("got error %v, want one with line 2", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("CONFIG_A=\""))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseBytes(data)
		if err != nil {
			return
		}
		for sym := range c.values {
			c.Get(sym)
			if !isSymbol(sym) {
				t.Errorf("%q is not a symbol", sym)
			}
		}
	})
}
