// Package kconfig reads a kernel's configuration as the build wrote it
// (.config, /boot/config-REL). It answers what is set, and in what that is not as it
// was asked for; it knows neither the Kconfig language nor dependencies between
// symbols, and it writes nothing.
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

// Config is a parsed configuration. Its zero value has nothing set.
type Config struct {
	values map[string]string
	uname  string
}

// Parse reads a configuration. A line that is neither empty, nor a comment, nor
// SYMBOL=VALUE is an error that says which.
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

// ParseBytes is Parse for a configuration held in memory.
func ParseBytes(data []byte) (*Config, error) { return Parse(bytes.NewReader(data)) }

func isSymbol(s string) bool {
	for _, r := range s {
		if r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return false
		}
	}
	return s != ""
}

// unquote undoes what Kconfig does to a string: quotes around it, a backslash
// before a quote or a backslash (conf_write_symbol, scripts/kconfig/confdata.c).
func unquote(v string) (string, error) {
	if !strings.HasPrefix(v, `"`) {
		return v, nil
	}
	if len(v) < 2 || !strings.HasSuffix(v, `"`) {
		return "", fmt.Errorf("string %.60s has no end", v)
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

// Get returns a symbol's value without quotes ("y", "m", "64", a string), and
// "" when it is not set. CONFIG_ before the name makes no difference.
func (c *Config) Get(symbol string) string {
	if c == nil {
		return ""
	}
	return c.values[strings.TrimPrefix(symbol, "CONFIG_")]
}

// Enabled says whether a symbol is y or m.
func (c *Config) Enabled(symbol string) bool {
	v := c.Get(symbol)
	return v == "y" || v == "m"
}

// Missing returns those of the wanted symbols that are neither y nor m, in
// their order and as they were written. It is nil when there is none.
func (c *Config) Missing(want ...string) []string {
	var missing []string
	for _, w := range want {
		if !c.Enabled(w) {
			missing = append(missing, w)
		}
	}
	return missing
}

// Len is the number of symbols that are set.
func (c *Config) Len() int {
	if c == nil {
		return 0
	}
	return len(c.values)
}

// Symbols are the names of what is set, without CONFIG_, sorted.
func (c *Config) Symbols() []string {
	if c == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(c.values))
}

// KernelVersion is the version in the file's heading ("6.1.192"), or "".
func (c *Config) KernelVersion() string {
	if c == nil {
		return ""
	}
	return c.uname
}
