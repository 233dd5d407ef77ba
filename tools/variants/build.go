package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/tool"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/build"
	"github.com/faultline/faultline/kernels/kconfig"
)

// builder owns a work folder: linux-source-VERSION, objects-VERSION, and
// objects-VERSION-NAME where a variant has a configuration of its own.
type builder struct {
	out, work string
	jobs      int
	lock      *os.File
}

func newBuilder(out, work string, jobs int) (*builder, error) {
	if work == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find the cache folder: %w; name one with -work", err)
		}
		work = filepath.Join(base, "faultline-variants")
	}
	b := &builder{jobs: jobs}
	var err error
	if b.out, err = filepath.Abs(out); err != nil {
		return nil, err
	}
	if b.work, err = filepath.Abs(work); err != nil {
		return nil, err
	}
	for _, dir := range []string{b.out, b.work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	if b.lock, err = os.Create(filepath.Join(b.work, "lock")); err != nil {
		return nil, err
	}
	if err := unix.Flock(int(b.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		b.lock.Close()
		return nil, fmt.Errorf("another build works in %s: %w; wait for it, or name another folder with -work", b.work, err)
	}
	return b, nil
}

func (b *builder) close() { b.lock.Close() }

// build leaves a variant's vmlinux and config in a folder of its name.
func (b *builder) build(ctx context.Context, v variant) (err error) {
	tree, err := b.source(ctx, v.version)
	if err != nil {
		return fmt.Errorf("get the source: %w", err)
	}
	all := editsOf(v.version)
	if err := restore(tree, all); err != nil {
		return fmt.Errorf("undo what an earlier build left: %w", err)
	}
	defer func() { err = errors.Join(err, restore(tree, all)) }()
	if err := applyEdits(tree, v.edits); err != nil {
		return fmt.Errorf("edit the source: %w", err)
	}
	objects := filepath.Join(b.work, "objects-"+v.version)
	if v.config != "" { // few symbols reach many files: there and back would compile most of them twice
		objects += "-" + v.name
	}
	if err := b.configure(ctx, tree, objects, v); err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	if err := b.make(ctx, tree, objects, v, "vmlinux"); err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	return b.install(objects, v.name)
}

// source returns the folder with a version's source, and unpacks it if need be.
func (b *builder) source(ctx context.Context, version string) (string, error) {
	name := "linux-source-" + version
	tree := filepath.Join(b.work, name)
	if _, err := os.Stat(tree); err == nil {
		return tree, nil
	}
	unpacked, err := os.MkdirTemp(b.work, "unpack-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(unpacked)
	archive := filepath.Join("/usr/src", name+".tar.xz")
	if _, err := os.Stat(archive); err != nil {
		if err := command(ctx, unpacked, "apt-get", "download", name); err != nil {
			return "", err
		}
		packages, err := filepath.Glob(filepath.Join(unpacked, "*.deb"))
		if err != nil || len(packages) != 1 {
			return "", fmt.Errorf("apt-get download %s left %d packages", name, len(packages))
		}
		if err := command(ctx, unpacked, "dpkg-deb", "-x", packages[0], "."); err != nil {
			return "", err
		}
		archive = filepath.Join(unpacked, archive)
	}
	if err := command(ctx, unpacked, "tar", "-xf", archive); err != nil {
		return "", err
	}
	return tree, os.Rename(filepath.Join(unpacked, name), tree)
}

// configure makes .config and compares it with what was asked for: Kconfig drops
// a symbol whose dependencies are not set, and says nothing.
func (b *builder) configure(ctx context.Context, tree, objects string, v variant) error {
	if err := os.MkdirAll(objects, 0o755); err != nil {
		return err
	}
	if err := b.make(ctx, tree, objects, v, "tinyconfig"); err != nil {
		return err
	}
	fragment := kernels.MinimalConfig() + v.config
	file := filepath.Join(objects, ".config")
	tiny, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(tiny, fragment...), 0o644); err != nil { // the last line for a symbol holds
		return err
	}
	if err := b.make(ctx, tree, objects, v, "olddefconfig"); err != nil {
		return err
	}
	asked, err := kconfig.ParseBytes([]byte(fragment))
	if err != nil {
		return fmt.Errorf("read what was asked for: %w", err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	got, err := kconfig.ParseBytes(data)
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	if u := build.Compare(asked, got); len(u) > 0 {
		return fmt.Errorf("linux-source-%s does not take: %v", v.version, u)
	}
	return nil
}

// make runs a target of the kernel's Makefile. What would go into a kernel of
// the builder's machine and time is fixed: the same source gives the same file.
func (b *builder) make(ctx context.Context, tree, objects string, v variant, target string) error {
	return command(ctx, tree, "make", "-s", "O="+objects, fmt.Sprintf("-j%d", b.jobs), "KBUILD_BUILD_USER=faultline", "KBUILD_BUILD_HOST="+v.name,
		"KBUILD_BUILD_VERSION=1", "KBUILD_BUILD_TIMESTAMP=1970-01-01", target)
}

// install puts the kernel into its folder, whole or not at all.
func (b *builder) install(objects, name string) error {
	final := filepath.Join(b.out, name)
	dir := final + ".new"
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for from, to := range map[string]string{"vmlinux": "vmlinux", ".config": "config"} {
		data, err := os.ReadFile(filepath.Join(objects, from))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, to), data, 0o644); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(final); err != nil {
		return err
	}
	return os.Rename(dir, final)
}

// command runs a program in a folder. Its output is told only if it fails.
func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // make ends its compilers too
	cmd.WaitDelay = 10 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, strings.Join(lines[max(0, len(lines)-20):], "\n"))
	}
	return nil
}

// checkTools names the packages of what a kernel's build calls and this machine lacks.
func checkTools(ctx context.Context) error {
	if _, err := tool.Find("xz", "xz-utils"); err != nil {
		return err
	}
	return build.Tools(ctx, "")
}
