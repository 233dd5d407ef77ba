// Package layout finds the parts of a kernel in a directory: the image, its configuration
// and its modules, in the places where packages, "make install" and people put them. It
// copies them into a cache entry; it neither builds nor checks a kernel.
package layout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/faultline/faultline/internal/limitread"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/kconfig"
	"github.com/faultline/faultline/kernels/vmlinuz"
)

// Layout is what was found in a directory; the paths are those in the directory.
type Layout struct {
	Image   string
	Release string // uname -r, read from the image
	ELF     bool   // the image is a vmlinux
	Config  string // "" if there is none
	Modules string // the directory of the modules, "" if there is none
}

// At returns the layout of the kernel of an image, such as /boot/vmlinuz-REL: its
// configuration is beside it, its modules are below that directory or the one above.
func At(ctx context.Context, image string) (*Layout, error) {
	release, isELF, err := readImage(ctx, image)
	if err != nil {
		return nil, err
	}
	l := &Layout{Image: image, Release: release, ELF: isELF}
	root := filepath.Dir(image)
	for _, name := range []string{"config-" + release, ".config", "config"} {
		if m := regular(root, name); len(m) > 0 {
			l.Config = m[0]
			break
		}
	}
	for _, dir := range []string{root, filepath.Dir(root)} {
		for _, modules := range []string{"lib/modules", "usr/lib/modules"} {
			dir := filepath.Join(dir, modules, release)
			if info, err := os.Stat(dir); l.Modules == "" && err == nil && info.IsDir() {
				l.Modules = dir
			}
		}
	}
	return l, nil
}

// Find looks for the parts of a kernel below a directory.
func Find(ctx context.Context, root string, opts kernels.Options) (*Layout, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, &kernels.SpecError{Problem: "cannot read the folder", Err: err, Hint: "give a readable folder"}
	}
	if !info.IsDir() {
		return nil, &kernels.SpecError{Problem: root + " is not a folder",
			Hint: "give the folder with vmlinuz, config and lib/modules/RELEASE"}
	}
	l := &Layout{}
	if err := l.findImage(ctx, root, opts); err != nil {
		return nil, err
	}
	l.findConfig(root)
	return l, l.findModules(ctx, root)
}

// findConfig uses the configuration that is named like the kernel, else any other that
// can be parsed.
func (l *Layout) findConfig(root string) {
	for _, p := range []string{"config-" + l.Release, "boot/config-" + l.Release, "lib/modules/" + l.Release + "/config",
		"usr/lib/modules/" + l.Release + "/config", "kernel-" + l.Release + ".config", "config", ".config", "kernel.Config"} {
		if m := regular(root, p); len(m) > 0 {
			l.Config = m[0]
			return
		}
	}
	for _, p := range []string{"config*", "boot/config*", "*config", "boot/*config"} {
		for _, file := range regular(root, p) {
			data, err := limitread.ReadFile(file, kernels.MaxBytes(kernels.FileConfig))
			if err != nil {
				continue
			}
			if c, err := kconfig.ParseBytes(data); err == nil && c.Len() > 0 {
				l.Config = file
				return
			}
		}
	}
}

// Locations and names of images: bzImage first, then ELF.
var images = [][]string{
	{
		"vmlinuz*",
		"bzImage*",
		"kernel*",
		"linux",
		"boot/vmlinuz*",
		"boot/bzImage*",
		"boot/kernel*",
		"boot/linux",
		"lib/modules/*/vmlinuz*",
		"usr/lib/modules/*/vmlinuz*",
		"lib/modules/*/bzImage*",
		"arch/x86/boot/bzImage",
	},
	{"vmlinux*", "boot/vmlinux*", "lib/modules/*/vmlinux*", "usr/lib/modules/*/vmlinux*"},
}

// spare matches names of kernels in a boot directory that are not the one in use: the
// previous one, and Fedora's rescue kernels.
var spare = regexp.MustCompile(`(?:\.(?:old|bak|prev|orig|dpkg-\w+)|~)$|-rescue\b`)

// findImage finds the bootable image. Other files with names of images are ignored if
// there is one.
func (l *Layout) findImage(ctx context.Context, root string, opts kernels.Options) error {
	var none *kernels.SpecError // why the first file with an image's name is not one
	for _, patterns := range images {
		names := find(root, patterns...)
		slices.SortStableFunc(names, func(a, b string) int { return sign(spare.MatchString(a)) - sign(spare.MatchString(b)) })
		for _, name := range names {
			release, isELF, err := readImage(ctx, name)
			wrong, isRequest := err.(*kernels.SpecError)
			switch {
			case err != nil && !isRequest:
				return err
			case err != nil:
				if none == nil {
					none = wrong
				}
				if !errors.Is(err, vmlinuz.ErrNotKernel) {
					opts.Logf("skip %s: %v", filepath.Base(wrong.Problem), wrong.Err)
				}
			case l.Image == "":
				l.Image, l.Release, l.ELF = name, release, isELF
			case l.Release != release && spare.MatchString(name) && !spare.MatchString(l.Image):
				opts.Logf("skip %s, which is %s: %s is %s", name, release, l.Image, l.Release)
			case l.Release != release:
				return &kernels.SpecError{
					Problem: fmt.Sprintf("more than one kernel: %s is %s, %s is %s", l.Image, l.Release, name, release),
					Hint:    "keep only one of them in the folder",
				}
			}
		}
		if l.Image != "" {
			return nil
		}
	}
	if none == nil {
		none = &kernels.SpecError{
			Problem: "no kernel image in " + root,
			Hint:    "put vmlinuz* (a bzImage) or vmlinux* (ELF) there, or in its boot folder",
		}
	}
	return none
}

func sign(b bool) int {
	if b {
		return 1
	}
	return 0
}

// readImage returns the kernel release of a file. The error for other files is a
// *kernels.SpecError.
func readImage(ctx context.Context, name string) (release string, isELF bool, err error) {
	err = kernels.WithImage(ctx, name, func(data []byte) error {
		image, err := vmlinuz.Parse(data)
		if err != nil {
			hint := "get the file again"
			if errors.Is(err, vmlinuz.ErrNotKernel) {
				hint = otherForm(data)
			}
			return &kernels.SpecError{Problem: name, Err: err, Hint: hint}
		}
		release, isELF = image.Release, image.ELF
		return nil
	})
	if large := (*limitread.Error)(nil); errors.As(err, &large) {
		return "", false, kernels.TooLarge(large)
	}
	if wrong := (*kernels.SpecError)(nil); err != nil && !errors.As(err, &wrong) {
		return "", false, fmt.Errorf("read the kernel image: %w", err)
	}
	return release, isELF, err
}

// otherForm returns a hint for converting other formats to an image.
func otherForm(data []byte) string {
	for _, form := range []struct{ begins, wayOut string }{
		{"MZ", "extract the kernel from the unified kernel image: objcopy -O binary --only-section=.linux IMAGE vmlinuz"},
		{"\x1f\x8b", "decompress it: gunzip"},
		{"\xfd7zXZ", "decompress it: unxz"},
		{"\x28\xb5\x2f\xfd", "decompress it: unzstd"},
	} {
		if bytes.HasPrefix(data, []byte(form.begins)) {
			return form.wayOut
		}
	}
	return "give a complete x86-64 bzImage or vmlinux"
}

// find returns the files that match, without other files that a build leaves beside a
// kernel (vmlinux.o, vmlinux.map).
func find(root string, patterns ...string) []string {
	var files []string
	for _, p := range patterns {
		files = append(files, regular(root, p)...)
	}
	return slices.DeleteFunc(files, func(f string) bool {
		return slices.Contains(
			[]string{".o", ".a", ".map", ".symvers", ".lds", ".sig", ".hmac", ".unstripped", ".config", ".py"},
			filepath.Ext(f),
		)
	})
}

func (l *Layout) findModules(ctx context.Context, root string) error {
	for _, parent := range []string{"lib/modules", "usr/lib/modules", "modules/lib/modules"} {
		entries, err := os.ReadDir(filepath.Join(root, parent))
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return fmt.Errorf("read the modules folder: %w", err)
		}
		renamed, other := "", ""
		for _, e := range entries {
			dir := filepath.Join(root, parent, e.Name())
			if e.Name() == l.Release {
				l.Modules = dir
				return nil
			}
			switch kernels.BuiltFor(ctx, dir) {
			case "":
			case l.Release: // under another name, as in virtme-ng: 0.0.0
				renamed = dir
			default:
				other = e.Name()
			}
		}
		if renamed != "" {
			l.Modules = renamed
			return nil
		}
		if other != "" {
			return kernels.OtherRelease(l.Release, other)
		}
	}
	// A directory that contains the modules directly: lib/modules/REL under another
	// name, as RELEASE/ or modules/, or the directory itself.
	for _, dir := range []string{l.Release, "modules", "."} {
		dir := filepath.Join(root, dir)
		if !exists(filepath.Join(dir, "modules.order")) && !exists(filepath.Join(dir, "modules.dep")) &&
			len(regular(dir, "*.ko*")) == 0 {
			continue
		}
		built := kernels.BuiltFor(ctx, dir)
		if built == "" || exists(filepath.Join(dir, "vmlinux.o")) {
			continue // a build tree has modules.order and modules in many directories
		}
		if built != l.Release {
			return kernels.OtherRelease(l.Release, built)
		}
		l.Modules = dir
		return nil
	}
	return nil
}

// regular returns the regular files that match a pattern below root, sorted.
func regular(root, pattern string) []string {
	var files []string
	names, _ := fs.Glob(os.DirFS(root), pattern)
	for _, n := range names {
		p := filepath.Join(root, n)
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			files = append(files, p)
		}
	}
	return files
}
