package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/faultline/faultline/kernels/kconfig"
)

// Unmet is a symbol that is not as it was asked for: Kconfig drops one whose
// dependencies are not set, and says nothing.
type Unmet struct{ Symbol, Asked, Got string }

func (u Unmet) String() string {
	return fmt.Sprintf("CONFIG_%s=%s (got %s)", strings.TrimPrefix(u.Symbol, "CONFIG_"), u.Asked, u.Got)
}

// Configure writes the configuration, and says in what it is not as asked. One
// that comes out as before is left alone, so that make sees no change.
func (b *Build) Configure(ctx context.Context) ([]Unmet, error) {
	if err := os.MkdirAll(b.Objects, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(b.Log, nil, 0o644); err != nil {
		return nil, err
	}
	const file, fresh = ".config", ".config.fresh"
	path := filepath.Join(b.Objects, fresh)
	defer os.Remove(path)
	if b.Base != "" {
		if err := os.WriteFile(path, []byte(b.Base), 0o644); err != nil {
			return nil, err
		}
	} else if err := b.make(ctx, "KCONFIG_CONFIG="+fresh, "tinyconfig"); err != nil {
		return nil, err
	}
	// The last line for a symbol holds.
	if err := appendTo(path, "\n"+b.Fragment); err != nil {
		return nil, err
	}
	if err := b.make(ctx, "KCONFIG_CONFIG="+fresh, "olddefconfig"); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	got, err := kconfig.ParseBytes(data)
	if err != nil {
		return nil, fmt.Errorf("read what olddefconfig wrote: %w", err)
	}
	asked, err := kconfig.ParseBytes([]byte(b.Fragment))
	if err != nil {
		return nil, fmt.Errorf("read what was asked for: %w", err)
	}
	if old, err := os.ReadFile(filepath.Join(b.Objects, file)); err != nil || !bytes.Equal(old, data) {
		if err := os.WriteFile(filepath.Join(b.Objects, file), data, 0o644); err != nil {
			return nil, err
		}
	}
	return Compare(asked, got), nil
}

// Compare says in which symbols a configuration is not what was asked for.
func Compare(asked, got *kconfig.Config) (list []Unmet) {
	value := func(c *kconfig.Config, symbol string) string {
		if v := c.Get(symbol); v != "" {
			return v
		}
		return "n"
	}
	for _, s := range asked.Symbols() {
		if a, g := value(asked, s), value(got, s); a != g {
			list = append(list, Unmet{s, a, g})
		}
	}
	return list
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
