package images

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/faultline/faultline/internal/cache"
)

// ModuleList is the guest's file that lists the modules to load: one absolute
// path per line, in load order.
const ModuleList = "/etc/faultline/modules"

// OnDemandList returns the path of the guest's file that lists the modules of a group
// of InitramfsSpec.OnDemand.
func OnDemandList(group string) string { return ModuleList + "." + group }

// InitramfsSpec lists what an initramfs contains in addition to the directories that are
// always present: empty /dev (with console), /proc, /sys, /tmp, /mnt, /run and /root.
type InitramfsSpec struct {
	Init    string       // path on the host of the static program that becomes /init
	Modules []ModuleFile // in load order; may be empty
	// OnDemand maps names to groups of modules that are not loaded at boot, each in
	// load order. The file OnDemandList(group) lists them like ModuleList. A module in
	// several groups is stored once.
	OnDemand map[string][]ModuleFile
	Files    []ExtraFile // additional files; may be empty
}

// ModuleFile is a kernel module. It becomes /lib/modules/name.ko.
type ModuleFile struct {
	Name string // as in modinfo(8): "nd_pmem"
	// Digest identifies the content in the cache's key: equal digests mean equal
	// content.
	Digest string
	// Open returns the content, decompressed. It is called if the initramfs is not
	// in the cache.
	Open func() ([]byte, error)
}

// ExtraFile is a regular file copied from the host.
type ExtraFile struct {
	Path string      // in the guest, absolute
	Host string      // on the host
	Mode os.FileMode // permissions; 0 is 0755
}

// initramfsFormat is part of the key: raise it when the same spec gives different bytes.
const initramfsFormat = "initramfs 3"

var (
	emptyDirs = []ExtraFile{
		{Path: "/dev", Mode: 0o755}, {Path: "/mnt", Mode: 0o755}, {Path: "/proc", Mode: 0o755},
		{Path: "/root", Mode: 0o700}, {Path: "/run", Mode: 0o755}, {Path: "/sys", Mode: 0o755},
		{Path: "/tmp", Mode: 0o777},
	}
	moduleName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
)

// Initramfs returns the archive for spec, from the cache if possible.
// It is a newc cpio (Documentation/driver-api/early-userspace/buffer-format.rst),
// uncompressed, because unpacking it would cost a guest more than reading it.
// The same spec and contents give the same bytes.
func Initramfs(ctx context.Context, c *cache.Cache, spec InitramfsSpec) (*Image, error) {
	key, err := spec.key()
	if err != nil {
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	const name = "initramfs.cpio"
	e, err := c.GetChecked(ctx, "initramfs", key, func(ctx context.Context, dir string) error {
		return writeFile(filepath.Join(dir, name), func(w io.Writer) error { return spec.write(ctx, w) })
	})
	if err != nil {
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	return newImage(e, key, name), nil
}

// key checks the spec and returns its cache key.
func (s InitramfsSpec) key() (string, error) {
	if s.Init == "" {
		return "", errors.New("no program for /init")
	}
	digest, err := cache.FileSum(s.Init)
	if err != nil {
		return "", fmt.Errorf("/init: %w", err)
	}
	parts := []string{initramfsFormat, digest}
	contents := map[string]string{} // digests by module name
	for _, group := range s.groups() {
		if group.name != "" && !moduleName.MatchString(group.name) {
			return "", fmt.Errorf("invalid name %q of a group of modules", group.name)
		}
		parts = append(parts, "group", group.name)
		seen := map[string]bool{}
		for i, m := range group.modules {
			switch {
			case !moduleName.MatchString(m.Name):
				return "", fmt.Errorf("module %d: bad name %q", i, m.Name)
			case seen[m.Name]:
				return "", fmt.Errorf("module %s is listed twice", m.Name)
			case m.Digest == "" || m.Open == nil:
				return "", fmt.Errorf("module %s: no digest or no content", m.Name)
			}
			if other, ok := contents[m.Name]; ok && other != m.Digest {
				return "", fmt.Errorf("module %s is listed with two different contents", m.Name)
			}
			seen[m.Name], contents[m.Name] = true, m.Digest
			parts = append(parts, "module", m.Name, m.Digest)
		}
	}
	for _, f := range s.Files {
		if !strings.HasPrefix(f.Path, "/") || path.Clean(f.Path) != f.Path || f.Path == "/" {
			return "", fmt.Errorf("file %q: not an absolute, clean path", f.Path)
		}
		digest, err := cache.FileSum(f.Host)
		if err != nil {
			return "", fmt.Errorf("%s: %w", f.Path, err)
		}
		parts = append(parts, "file", f.Path, fmt.Sprintf("%o", f.perm()), digest)
	}
	return cache.Key(parts...), nil
}

// moduleGroup is Modules (with an empty name), or a group of OnDemand.
type moduleGroup struct {
	name, list string
	modules    []ModuleFile
}

func (s InitramfsSpec) groups() []moduleGroup {
	groups := []moduleGroup{{"", ModuleList, s.Modules}}
	for _, name := range slices.Sorted(maps.Keys(s.OnDemand)) {
		groups = append(groups, moduleGroup{name, OnDemandList(name), s.OnDemand[name]})
	}
	return groups
}

func (f ExtraFile) perm() uint64 {
	if f.Mode == 0 {
		return 0o755
	}
	return uint64(f.Mode.Perm())
}

// write writes the archive: parents before children, sorted by path, inodes
// numbered in that order, owner and times zero.
func (s InitramfsSpec) write(ctx context.Context, w io.Writer) error {
	records := map[string]cpio.Record{}
	add := func(r cpio.Record) error {
		for dir := path.Dir(r.Name); dir != "."; dir = path.Dir(dir) {
			parent, ok := records[dir]
			if !ok {
				records[dir] = cpio.Directory(dir, 0o755)
			} else if parent.Mode&cpio.S_IFMT != cpio.S_IFDIR {
				return fmt.Errorf("/%s is a file in the initramfs and can't contain /%s", dir, r.Name)
			}
		}
		if _, ok := records[r.Name]; ok {
			return fmt.Errorf("/%s is in the initramfs twice", r.Name)
		}
		records[r.Name] = r
		return nil
	}
	addFile := func(name string, content []byte, perm uint64) error {
		return add(cpio.StaticRecord(content, cpio.Info{Name: strings.TrimPrefix(name, "/"), Mode: cpio.S_IFREG | perm}))
	}

	for _, d := range emptyDirs {
		mode := d.perm()
		if d.Path == "/tmp" {
			mode |= cpio.S_ISVTX
		}
		if err := add(cpio.Directory(d.Path[1:], mode)); err != nil {
			return err
		}
	}
	if err := add(cpio.CharDev("dev/console", 0o600, 5, 1)); err != nil {
		return err
	}
	written := map[string]bool{} // modules; groups share dependencies
	for _, group := range s.groups() {
		var list bytes.Buffer
		for _, m := range group.modules {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			name := path.Join("/lib/modules", m.Name+".ko")
			fmt.Fprintln(&list, name)
			if written[m.Name] {
				continue
			}
			written[m.Name] = true
			content, err := m.Open()
			if err != nil {
				return fmt.Errorf("module %s: %w", m.Name, err)
			}
			if err := addFile(name, content, 0o644); err != nil {
				return err
			}
		}
		if err := addFile(group.list, list.Bytes(), 0o644); err != nil {
			return err
		}
	}
	for _, f := range append([]ExtraFile{{Path: "/init", Host: s.Init}}, s.Files...) {
		content, err := os.ReadFile(f.Host)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		if err := addFile(f.Path, content, f.perm()); err != nil {
			return err
		}
	}

	names := make([]string, 0, len(records))
	for n := range records {
		names = append(names, n)
	}
	slices.Sort(names)
	out := cpio.Newc.Writer(w)
	for i, n := range names {
		r := records[n]
		r.Ino, r.NLink = uint64(i+1), 1
		if err := out.WriteRecord(r); err != nil {
			return fmt.Errorf("write /%s: %w", n, err)
		}
	}
	return cpio.WriteTrailer(out)
}

// writeFile creates a file, with buffered writes.
func writeFile(name string, write func(io.Writer) error) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	b := bufio.NewWriterSize(f, 1<<20)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}
