package kernels

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/faultline/faultline/kernels/kconfig"
	"github.com/faultline/faultline/kernels/modules"
	"github.com/faultline/faultline/kernels/vmlinuz"
)

// A cache entry of kind "kernel" is a folder with these, and lib/modules/REL.
const (
	entryKind   = "kernel"
	entryFormat = "1" // part of every key: raise it when the layout changes

	fileVmlinuz = "vmlinuz" // the bzImage as it came
	fileVmlinux = "vmlinux" // the ELF file: as it came, or taken out of the bzImage
	fileConfig  = "config"
	fileRecord  = "kernel.json"
	dirModules  = "lib/modules"
)

// finish makes a kernel out of what a source laid into dir: vmlinuz or vmlinux,
// config, and lib/modules/REL. It takes the vmlinux out, generates modules.dep,
// and records all that Resolve has to say.
func finish(ctx context.Context, dir string, packages []Package, opts Options) error {
	k := &Kernel{Packages: packages, Arch: "amd64", Image: fileVmlinuz}
	if !exists(filepath.Join(dir, fileVmlinuz)) {
		k.Image = fileVmlinux
	}
	data, err := os.ReadFile(filepath.Join(dir, k.Image))
	if err != nil {
		return err
	}
	image, err := vmlinuz.Parse(data)
	if err != nil {
		return &SpecError{Problem: "its kernel image is no kernel image that can be booted", Err: err,
			WayOut: "give an x86-64 bzImage or vmlinux, whole"}
	}
	k.Release = image.Release
	k.Version = imageVersion(image.Release, image.Banner)
	for _, p := range packages {
		if strings.HasSuffix(p.Name, image.Release) || strings.HasSuffix(strings.TrimSuffix(p.Name, "-unsigned"), image.Release) {
			k.Version = upstreamVersion(p.Version)
		}
	}
	if err := elfImage(dir, k, image, opts); err != nil {
		return err
	}

	config, err := kernelConfig(dir)
	if err != nil {
		return err
	}
	if k.ModulesDir, err = modulesDir(ctx, dir, image.Release, config); err != nil {
		return err
	}
	if k.Digest, err = digest(dir, image.ELF); err != nil {
		return err
	}
	record, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, fileRecord), append(record, '\n'), 0o644)
}

// elfImage chooses what QEMU gets, and writes the vmlinux if it is that.
func elfImage(dir string, k *Kernel, image *vmlinuz.Image, opts Options) error {
	elf, err := image.Vmlinux()
	if errors.Is(err, vmlinuz.ErrCompression) {
		opts.log("kernel %s boots from its bzImage: %v", image.Release, err)
		return nil
	}
	if err != nil {
		return &SpecError{Problem: "its kernel image is damaged", Err: err, WayOut: "get the file anew"}
	}
	if k.PVH, err = vmlinuz.PVH(elf); err != nil {
		return &SpecError{Problem: "its kernel image is damaged", Err: err, WayOut: "get the file anew"}
	}
	if !exists(filepath.Join(dir, fileConfig)) {
		if c := vmlinuz.Config(elf); c != nil {
			if err := os.WriteFile(filepath.Join(dir, fileConfig), c, 0o644); err != nil {
				return err
			}
		}
	}
	switch {
	case k.PVH && !image.ELF:
		k.Image = fileVmlinux
		return os.WriteFile(filepath.Join(dir, fileVmlinux), elf, 0o644)
	case k.PVH:
		return nil
	case image.ELF:
		return &SpecError{Problem: "its vmlinux has no PVH note, so QEMU can't boot it",
			WayOut: "build it with CONFIG_PVH=y, or give the bzImage (arch/x86/boot/bzImage) as vmlinuz"}
	}
	opts.log("kernel %s boots from its bzImage: its vmlinux has no PVH note", image.Release)
	return nil
}

func kernelConfig(dir string) (*kconfig.Config, error) {
	data, err := os.ReadFile(filepath.Join(dir, fileConfig))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &SpecError{Problem: "it has no kernel configuration",
			WayOut: "add the config-RELEASE file (or .config) that the kernel was built with"}
	}
	if err != nil {
		return nil, err
	}
	c, err := kconfig.ParseBytes(data)
	if err != nil {
		return nil, &SpecError{Problem: "read its kernel configuration", Err: err, WayOut: "give the .config as the build wrote it"}
	}
	if c.Len() == 0 {
		return nil, &SpecError{Problem: "its kernel configuration sets nothing", WayOut: "give the .config as the build wrote it"}
	}
	return c, nil
}

// modulesDir checks the modules folder against the image's release and returns
// its path below dir, "" where the kernel needs none.
func modulesDir(ctx context.Context, dir, release string, config *kconfig.Config) (string, error) {
	var found []string
	entries, err := os.ReadDir(filepath.Join(dir, dirModules))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for _, e := range entries {
		found = append(found, e.Name())
	}
	if len(found) == 0 {
		if config.Get("MODULES") == "y" {
			return "", &SpecError{Problem: fmt.Sprintf("kernel %s is built with modules, and there is no modules folder", release),
				WayOut: "add lib/modules/" + release + ", or build the kernel with CONFIG_MODULES unset"}
		}
		return "", nil
	}
	if !slices.Contains(found, release) {
		return "", otherRelease(release, found[0])
	}
	base := filepath.Join(dirModules, release)
	if built := builtFor(filepath.Join(dir, base)); built != "" && built != release {
		return "", otherRelease(release, built)
	}
	if exists(filepath.Join(dir, base, "modules.dep")) {
		return base, nil
	}
	depmod, err := tool("depmod")
	if err != nil {
		return "", err
	}
	// A depmod built for a merged /usr looks below usr/lib (kmod 32 and later).
	if err := os.Mkdir(filepath.Join(dir, "usr"), 0o755); err != nil {
		return "", err
	}
	if err := os.Symlink("../lib", filepath.Join(dir, "usr/lib")); err != nil {
		return "", err
	}
	if _, err := run(ctx, "", nil, depmod, "-b", dir, release); err != nil {
		return "", fmt.Errorf("generate modules.dep: %w", err)
	}
	if _, err := modules.Open(filepath.Join(dir, base)); err != nil {
		return "", err
	}
	return base, nil
}

func otherRelease(release, other string) error {
	return &SpecError{Problem: fmt.Sprintf("the image is %s, its modules are of %s", release, other),
		WayOut: "give the image and the lib/modules folder of the same build"}
}

// builtFor is the release that the first module found was built for, or "".
func builtFor(dir string) string {
	release := ""
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !modules.IsModule(p) {
			return nil
		}
		if data, err := modules.Read(p); err == nil {
			release = modules.Release(data)
		}
		return fs.SkipAll
	})
	return release
}

// digest is over the names and contents of what the kernel came with.
func digest(dir string, isELF bool) (string, error) {
	files := []string{fileVmlinuz, fileConfig}
	if isELF {
		files[0] = fileVmlinux
	}
	err := filepath.WalkDir(filepath.Join(dir, dirModules), func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		// The rest is depmod's work, and differs with its version.
		if n := d.Name(); modules.IsModule(n) || strings.HasPrefix(n, "modules.builtin") && !strings.HasSuffix(n, ".bin") &&
			n != "modules.builtin.alias" || n == "modules.order" {
			rel, err := filepath.Rel(dir, p)
			if err != nil {
				return err
			}
			files = append(files, rel)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	slices.Sort(files[2:])
	all := sha256.New()
	for _, name := range files {
		sum, err := fileSum(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(all, "%s  %s\n", sum, name)
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// command prepares a program that dies with ctx, with what it started.
func command(ctx context.Context, dir string, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	// Messages are read: they have to be in English.
	cmd.Env = append(append(os.Environ(), "LC_ALL=C"), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// runError is a program that ended badly.
type runError struct {
	name   string
	stderr string
	err    error
}

func (e *runError) Error() string {
	s := fmt.Sprintf("%s: %v", e.name, e.err)
	if lines := strings.Split(strings.TrimSpace(e.stderr), "\n"); lines[0] != "" {
		s += ": " + strings.Join(lines[max(0, len(lines)-4):], " / ")
	}
	return s
}

func (e *runError) Unwrap() error { return e.err }

// run runs a program and returns what it printed; a *runError has its complaints.
func run(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := command(ctx, dir, env, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return out.Bytes(), &runError{name: filepath.Base(name), stderr: errs.String(), err: err}
	}
	return out.Bytes(), nil
}
