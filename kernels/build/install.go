package build

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/faultline/faultline/internal/execx"
)

// BzImage copies the bzImage.
func (b *Build) BzImage(to string) error {
	return copyFile(filepath.Join(b.Objects, "arch/x86/boot/bzImage"), to)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Image writes the vmlinux without debug information (it can be twenty times the rest,
// and QEMU reads all of it); the symbols remain.
func (b *Build) Image(ctx context.Context, to string) error {
	from := filepath.Join(b.Objects, "vmlinux")
	f, err := elf.Open(from)
	if err != nil {
		return fmt.Errorf("read %s: %w", from, err)
	}
	defer f.Close()
	if f.Section(".debug_info") != nil {
		bin, err := execx.Find("objcopy", "binutils")
		if err != nil {
			return err
		}
		_, err = execx.Run(ctx, "", nil, bin, "--strip-debug", from, to)
		return err
	}
	return copyFile(from, to)
}

// Install installs the modules into dir/lib/modules/RELEASE (make modules_install),
// without debug information: the guest has them in memory.
func (b *Build) Install(ctx context.Context, dir string) error {
	if err := b.make(ctx, "INSTALL_MOD_PATH="+dir, "INSTALL_MOD_STRIP=1", "modules_install"); err != nil {
		return err
	}
	links, err := fs.Glob(os.DirFS(dir), "lib/modules/*/*")
	if err != nil {
		return err
	}
	for _, l := range links {
		l = filepath.Join(dir, l)
		// build and source point outside the directory, to what may be gone tomorrow.
		if info, err := os.Lstat(l); err == nil && info.Mode()&os.ModeSymlink != 0 {
			if err := os.Remove(l); err != nil {
				return err
			}
		}
	}
	return nil
}
