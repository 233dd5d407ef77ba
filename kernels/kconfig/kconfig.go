// Package kconfig reads a kernel's configuration as written by the build (.config,
// /boot/config-REL). It returns symbols' values, and compares them with requested ones.
// It knows neither the Kconfig language nor dependencies between symbols, and writes
// nothing.
package kconfig

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Config is a parsed configuration. In its zero value, nothing is set.
type Config struct {
	values map[string]string
	uname  string
}

// Parse parses a configuration. A line that is neither empty, nor a comment, nor
// SYMBOL=VALUE is an error, which has its number.
func Parse(r io.Reader) (*Config, error) {
	c := &Config{values: map[string]string{}}
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if rest, ok := strings.CutPrefix(line, "#"); ok {
			// "# Linux/x86 6.1.192 Kernel Configuration"
			f := strings.Fields(rest)
			if len(f) == 4 && f[2] == "Kernel" && f[3] == "Configuration" && c.uname == "" {
				c.uname = f[1]
			}
			continue
		}
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		sym, prefixed := strings.CutPrefix(name, "CONFIG_")
		if !ok || !prefixed || !isSymbol(sym) {
			return nil, fmt.Errorf("line %d: %.60q is not CONFIG_SYMBOL=VALUE", n, line)
		}
		v, err := unquote(value)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		c.values[sym] = v
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// ParseBytes is like Parse, for a configuration in memory.
func ParseBytes(data []byte) (*Config, error) { return Parse(bytes.NewReader(data)) }

func isSymbol(s string) bool {
	for _, r := range s {
		if r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return false
		}
	}
	return s != ""
}

// unquote removes Kconfig's quoting of a string: quotes around it, a backslash
// before a quote or a backslash (conf_write_symbol, scripts/kconfig/confdata.c).
func unquote(v string) (string, error) {
	if !strings.HasPrefix(v, `"`) {
		return v, nil
	}
	if len(v) < 2 || !strings.HasSuffix(v, `"`) {
		return "", fmt.Errorf("string %.60s has no closing quote", v)
	}
	var b strings.Builder
	in := v[1 : len(v)-1]
	for i := 0; i < len(in); i++ {
		if in[i] == '\\' && i+1 < len(in) {
			i++
		}
		b.WriteByte(in[i])
	}
	return b.String(), nil
}

// Get returns a symbol's value without quotes ("y", "m", "64", a string), or "" if it
// is not set. The prefix CONFIG_ is optional.
func (c *Config) Get(symbol string) string {
	if c == nil {
		return ""
	}
	return c.values[strings.TrimPrefix(symbol, "CONFIG_")]
}

// Enabled reports whether a symbol is y or m.
func (c *Config) Enabled(symbol string) bool {
	v := c.Get(symbol)
	return v == "y" || v == "m"
}

// Missing returns those of the wanted symbols that are neither y nor m, in the given
// order and form; nil if there are none.
func (c *Config) Missing(want ...string) []string {
	var missing []string
	for _, w := range want {
		if !c.Enabled(w) {
			missing = append(missing, w)
		}
	}
	return missing
}

// Len returns the number of symbols that are set.
func (c *Config) Len() int {
	if c == nil {
		return 0
	}
	return len(c.values)
}

// Symbols returns the names of the symbols that are set, without CONFIG_, sorted.
func (c *Config) Symbols() []string {
	if c == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(c.values))
}

// KernelVersion returns the version in the file's heading ("6.1.192"), or "".
func (c *Config) KernelVersion() string {
	if c == nil {
		return ""
	}
	return c.uname
}
