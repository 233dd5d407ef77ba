package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/cache"
)

// Configure writes the configuration. An unchanged configuration is not rewritten,
// so that make sees no change. kconfig.Compare lists the symbols that are not as
// requested.
func (b *Build) Configure(ctx context.Context) error {
	if err := os.MkdirAll(b.Objects, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(b.Log, nil, 0o644); err != nil {
		return err
	}
	decided, err := b.decided(ctx)
	if err != nil {
		return err
	}
	file := filepath.Join(b.Objects, ".config")
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s := b.state()
	if decided != "" && s.Decided == decided && s.Config == cache.Key(string(old)) {
		return nil
	}
	data, err := b.ask(ctx)
	if err != nil {
		return err
	}
	if !bytes.Equal(old, data) {
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
	s.Decided, s.Config = decided, cache.Key(string(data))
	return b.keep(s)
}

// ask runs the tree's Kconfig to make a configuration.
func (b *Build) ask(ctx context.Context) ([]byte, error) {
	const fresh = ".config.fresh"
	file := filepath.Join(b.Objects, fresh)
	defer os.Remove(file)
	if b.Base != "" {
		if err := os.WriteFile(file, []byte(b.Base), 0o644); err != nil {
			return nil, err
		}
	} else if err := b.make(ctx, "KCONFIG_CONFIG="+fresh, "tinyconfig"); err != nil {
		return nil, err
	}
	// The last line for a symbol wins.
	if err := appendTo(file, "\n"+b.Fragment); err != nil {
		return nil, err
	}
	if err := b.make(ctx, "KCONFIG_CONFIG="+fresh, "olddefconfig"); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// decided returns the key of everything that determines the configuration; "" if unknown.
// Kconfig probes the compiler and its tools for features
// (scripts/Kconfig.include, init/Kconfig).
func (b *Build) decided(ctx context.Context) (string, error) {
	if b.Deciding == "" {
		return "", nil
	}
	compiler, err := Compiler(ctx, b.CC)
	if err != nil {
		return "", err
	}
	parts := []string{b.Deciding, b.Base, b.Fragment, b.CC, compiler, os.Getenv("PATH")}
	for _, name := range []string{"make", "ld", "as", "nm", "objcopy", "perl", "pahole", "rustc", "bindgen"} {
		bin, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if info, err := os.Stat(bin); err == nil {
			parts = append(parts, bin, fmt.Sprint(info.Size(), info.ModTime().UnixNano()))
		}
	}
	return cache.Key(parts...), nil
}

// Decides reports whether a file of a source, by its path there, may affect the
// configuration: all but files that are only compiled or read.
func Decides(file string) bool {
	return strings.HasPrefix(file, "scripts/") ||
		!slices.Contains([]string{".c", ".h", ".S", ".rst", ".txt", ".dts", ".dtsi", ".yaml", ".json"}, path.Ext(file))
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
