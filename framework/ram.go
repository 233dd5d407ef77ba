package framework

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// Folders where PID 1 mounts file systems that are in memory.
const (
	tmpfsDir     = "/tmp"
	hugetlbfsDir = "/run/huge"
)

// TmpfsFile makes a file of zeros in a tmpfs.
func (g *Guest) TmpfsFile(ctx context.Context, bytes int64) *File {
	return g.memoryFile(ctx, "tmpfs", tmpfsDir, bytes)
}

// HugeTmpfsFile makes a file of zeros in a tmpfs that uses huge pages (huge=always;
// Documentation/filesystems/tmpfs.rst).
func (g *Guest) HugeTmpfsFile(ctx context.Context, bytes int64) *File {
	const dir = "/mnt/huge"
	g.callOK(ctx, "mkdirat", unix.AT_FDCWD, dir, 0o755)
	g.callOK(ctx, "mount", "huge", dir, "tmpfs", 0, "huge=always")
	return g.memoryFile(ctx, "tmpfs with huge pages", dir, bytes)
}

// HugeFile makes a file of zeros in a hugetlbfs. Call HugePages first to reserve its
// pages.
func (g *Guest) HugeFile(ctx context.Context, bytes int64) *File {
	return g.memoryFile(ctx, "hugetlbfs", hugetlbfsDir, bytes)
}

func (g *Guest) memoryFile(ctx context.Context, kind, dir string, bytes int64) *File {
	f := &File{g: g, Name: g.unique("file"), Bytes: bytes}
	f.Path = dir + "/" + f.Name
	fd := int(
		g.callOK(ctx, "openat", unix.AT_FDCWD, f.Path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600).Ret,
	)
	g.callOK(ctx, "ftruncate", fd, bytes)
	g.callOK(ctx, "close", fd)
	record(g.rec, "agent", fmt.Sprintf("make %s in a %s, %d bytes", f.Name, kind, bytes), observe.Outcome{}, "")
	return f
}

// HugePages reserves n huge pages of HugePageBytes each for hugetlb
// (Documentation/admin-guide/mm/hugetlbpage.rst).
func (g *Guest) HugePages(ctx context.Context, n int) {
	const path = "/proc/sys/vm/nr_hugepages"
	g.WriteFile(ctx, path, strconv.Itoa(n))
	if got := strings.TrimSpace(g.ReadFile(ctx, path)); got != strconv.Itoa(n) {
		g.fail(fmt.Errorf("reserve %d huge pages: the guest's kernel reserved %s", n, got))
	}
	record(g.rec, "agent", fmt.Sprintf("set %d huge pages aside", n), observe.Outcome{}, "")
}

// GiganticPage reserves a page of 1 GiB for hugetlb. It skips the scenario if the CPU
// does not have such pages.
func (g *Guest) GiganticPage(ctx context.Context) {
	const path = "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages"
	wrote := g.call(ctx, &wire.Request{WriteFile: &wire.WriteFile{Path: path, Data: []byte("1")}}).File
	if wrote.Errno == "ENOENT" {
		g.fail(&unsupported{"the guest's processor has no pages of 1 GiB (pdpe1gb)"})
	}
	if got := strings.TrimSpace(g.ReadFile(ctx, path)); got != "1" {
		g.fail(fmt.Errorf("reserve a page of 1 GiB: the guest's kernel reserved %s: %s", got, wrote.Errno))
	}
	record(g.rec, "agent", "set a page of 1 GiB aside", observe.Outcome{}, "")
}

// TransparentHugePages enables transparent huge pages for MADV_HUGEPAGE: kernels with
// less than 512 MiB of memory disable them (hugepage_init in mm/huge_memory.c).
func (g *Guest) TransparentHugePages(ctx context.Context) {
	g.WriteFile(ctx, "/sys/kernel/mm/transparent_hugepage/enabled", "madvise")
	record(g.rec, "agent", "allow transparent huge pages", observe.Outcome{}, "")
}

// Kind records the kind of the page at an address: whether it is part of a huge page, or
// in the swap cache (/proc/kpageflags; Documentation/admin-guide/mm/pagemap.rst). The
// page must be present.
func (v *Victim) Kind(ctx context.Context, a Addr) *Observation {
	frame := v.Frame(ctx, a)
	entry := v.g.readPart(ctx, "/proc/kpageflags", int64(frame.Addr/v.g.page)*8, 8)
	return record(
		v.g.rec,
		"agent",
		fmt.Sprintf("kind of page of %s in %s", a, v.Role),
		observe.Outcome{Note: observe.PageKind([]byte(entry))},
		"",
	)
}

// LargeFolio skips the scenario if a page of the page cache is not part of a folio of
// several pages.
func (v *Victim) LargeFolio(ctx context.Context, a Addr) {
	if kind := v.Kind(ctx, a); !strings.Contains(kind.Note, "huge") {
		v.g.fail(&unsupported{"this kernel's page cache has no folios of several pages here"})
	}
}

// ksmDir is KSM's folder in sysfs (Documentation/admin-guide/mm/ksm.rst).
const ksmDir = "/sys/kernel/mm/ksm/"

// MergePages runs KSM for as many scans of all mergeable memory as it takes to merge
// unchanged pages, stops it, and records what it merged.
func (g *Guest) MergePages(ctx context.Context) *Observation {
	number := func(name string) int {
		n, err := strconv.Atoi(strings.TrimSpace(g.ReadFile(ctx, ksmDir+name)))
		if err != nil {
			g.fail(fmt.Errorf("read KSM's %s: %w", name, err))
		}
		return n
	}
	const scans = 3
	g.WriteFile(ctx, ksmDir+"sleep_millisecs", "1")
	g.WriteFile(ctx, ksmDir+"pages_to_scan", "1000")
	g.WriteFile(ctx, ksmDir+"run", "1")
	if !g.poll(ctx, func() bool { return number("full_scans") >= scans }) {
		g.fail(fmt.Errorf("KSM did not complete %d scans", scans))
	}
	g.WriteFile(ctx, ksmDir+"run", "0")
	note := fmt.Sprintf("%d shared, by %d", number("pages_shared"), number("pages_shared")+number("pages_sharing"))
	return record(g.rec, "agent", "merge pages", observe.Outcome{Note: note}, "")
}
