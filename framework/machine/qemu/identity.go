package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/execx"
)

// firmware lists the files that QEMU loads into guests of Machine: the BIOS, the ROMs
// that start a kernel (with PVH or without), and the APIC's ROM.
var firmware = []string{"bios-256k.bin", "pvh.bin", "linuxboot.bin", "linuxboot_dma.bin", "kvmvapic.bin"}

// maxLibraries limits the output of the dynamic linker, which is a line for each library.
const maxLibraries = 4096

// Identity returns a digest of what runs guests: QEMU's file, its shared libraries, the
// modules that it may load, and its firmware, which is in other Debian packages. QEMU's
// file and libraries are identified by size and time, modules and firmware by content.
func (b Binary) Identity(ctx context.Context) (string, error) {
	parts := make([][]string, 3)
	var all errgroup.Group
	all.Go(func() (err error) { parts[0], err = b.libraries(ctx); return err })
	all.Go(func() (err error) { parts[1], err = b.roms(ctx); return err })
	all.Go(func() (err error) { parts[2], err = b.modules(); return err })
	if err := all.Wait(); err != nil {
		return "", fmt.Errorf("find out what %s consists of: %w", b.Path, err)
	}
	return cache.Key(append([]string{b.Version}, slices.Concat(parts...)...)...), nil
}

// Digest returns a digest of QEMU's file, the modules that it may load, and its firmware,
// all by content: two machines with the same QEMU have the same digest.
func (b Binary) Digest(ctx context.Context) (string, error) {
	file, err := cache.FileSum(b.Path)
	if err != nil {
		return "", err
	}
	roms, err := b.roms(ctx)
	if err != nil {
		return "", fmt.Errorf("find out what %s consists of: %w", b.Path, err)
	}
	modules, err := b.modules()
	if err != nil {
		return "", fmt.Errorf("find out what %s consists of: %w", b.Path, err)
	}
	return cache.Key(slices.Concat([]string{file}, roms, modules)...), nil
}

// libraries describes QEMU's file and its libraries, as ld.so(8) finds them.
func (b Binary) libraries(ctx context.Context) ([]string, error) {
	env := append(environment[:len(environment):len(environment)], "LD_TRACE_LOADED_OBJECTS=1")
	// A file without a dynamic linker prints its version instead.
	out, err := execx.AskAs(ctx, b.User, env, versionLimit, b.Path, "--version")
	if err != nil {
		return nil, err
	}
	paths := []string{b.Path}
	for line := range strings.Lines(string(out)) {
		// "libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f…)"
		for _, word := range strings.Fields(line) {
			if filepath.IsAbs(word) {
				paths = append(paths, word)
			}
		}
	}
	if len(paths) > maxLibraries {
		return nil, fmt.Errorf("it has %d libraries", len(paths))
	}
	var all []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		all = append(all, fmt.Sprintln(filepath.Base(path), info.Size(), info.ModTime().UnixNano()))
	}
	return all, nil
}

// roms describes the firmware files, each from the first of QEMU's folders that has it.
func (b Binary) roms(ctx context.Context) ([]string, error) {
	out, err := execx.AskAs(ctx, b.User, environment, versionLimit, b.Path, "-L", "help")
	if err != nil {
		return nil, err
	}
	folders := strings.Split(strings.TrimSpace(string(out)), "\n")
	var all []string
	for _, name := range firmware {
		digest := ""
		for _, folder := range folders {
			if digest, err = cache.FileSum(filepath.Join(folder, name)); !errors.Is(err, fs.ErrNotExist) {
				break
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		all = append(all, name, digest)
	}
	return all, nil
}

// moduleFolders are the folders of QEMU's modules (CONFIG_QEMU_MODDIR), relative to the
// installation prefix: QEMU finds them relative to its own file. No option prints the
// folder, as -L help does for the firmware.
var moduleFolders = []string{"lib/qemu", "lib64/qemu", "lib/*-linux-*/qemu"}

// modules describes the modules that QEMU may load at its start. In Debian's QEMU even
// TCG is one (accel-tcg-x86_64.so).
func (b Binary) modules() ([]string, error) {
	file, err := filepath.EvalSymlinks(b.Path)
	if err != nil {
		return nil, err
	}
	prefix := filepath.Dir(filepath.Dir(file))
	var all []string
	for _, folder := range moduleFolders {
		names, err := fs.Glob(os.DirFS(prefix), folder+"/*.so")
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			digest, err := cache.FileSum(filepath.Join(prefix, name))
			if err != nil {
				return nil, err
			}
			all = append(all, name, digest)
		}
	}
	return all, nil
}
