package syscalls

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
)

// on adds the prefix of the id and the needs to scenarios of a DAX file with a bad block.
func on(fs FS) func(name, catalogue string, more ...Trait) []any {
	return func(name, catalogue string, more ...Trait) []any {
		return Scenario("dax/"+string(fs)+"/"+name, append(more, Catalogue(catalogue), NeedsDAX(NFIT, fs))...)
	}
}

// Parts and spans of pages: writes of data, and operations that change only metadata.
var _ = describe("with a bad block in a DAX file", func() {
	for _, fs := range []FS{Ext4, XFS} {
		scenario := on(fs)
		follows := []Trait{Changes(change.DaxRecoveryWrite, change.DaxFaultHWPoison)}
		// made creates a file with a bad page and opens it in a victim.
		made := func(ctx SpecContext) (*Guest, *Mount, *File, *Victim, FD) {
			g := StartGuest(ctx)
			mount := g.DAX(ctx, fs)
			f := mount.File(ctx, 64*KiB)
			v := g.Victim(ctx)
			fd := v.OpenFile(ctx, f)
			g.Inject(ctx, inject.BadBlock(f, Page(bad)))
			return g, mount, f, v, fd
		}
		Context("on "+fs.Text()+",", func() {
			// pmem_recovery_write requires whole pages.
			It("pwrite(2) of a part of the bad page fails: EIO before v5.19, EFAULT since; the block stays bad", scenario(
				"pwrite-part", "B04", follows...), func(ctx SpecContext) {
				g, mount, _, v, fd := made(ctx)
				wrote := v.Pwrite(ctx, fd, 512, Page(bad)+512)
				left := g.BadBlocks(ctx, mount.Device)
				Expect(wrote).To(DependOn(change.DaxRecoveryWrite,
					Before(Errno("EIO")),
					After(Errno("EFAULT"))).PartOf(change.DaxFaultHWPoison, leaked))
				Expect(left).To(BeOutcome(Note("8 sectors")))
			})

			It("pwrite(2) of the bad page and the page before it fails with EIO, or since v5.19 stops before it", scenario(
				"pwrite-span", "B05", follows...), func(ctx SpecContext) {
				_, _, _, v, fd := made(ctx)
				wrote := v.Pwrite(ctx, fd, 2*PageBytes(), Page(bad-1))
				Expect(wrote).To(DependOn(change.DaxRecoveryWrite,
					Before(Errno("EIO")),
					After(Returns(PageBytes()))).PartOf(change.DaxFaultHWPoison, leaked))
			})

			It("FALLOC_FL_PUNCH_HOLE removes the bad page from the file and leaves the block bad", scenario("punch",
				"B06"), func(ctx SpecContext) {
				g, mount, f, v, fd := made(ctx)
				punched := v.Syscall(
					ctx,
					"fallocate",
					fd,
					unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE,
					Page(bad),
					PageBytes(),
				)
				load := v.Load(ctx, v.Map(ctx, f, Shared).At(Page(bad)+5))
				left := g.BadBlocks(ctx, mount.Device)
				Expect(punched).To(BeOutcome(Returns(0)))
				Expect(load).To(BeOutcome(Reads(0)))
				Expect(left).To(BeOutcome(Note("8 sectors")))
			})

			// The kernel writes zeros into that part of the page (dax_memzero).
			It("FALLOC_FL_PUNCH_HOLE on a part of the bad page fails with EIO", scenario("punch-part", "B07",
				Changes(change.DaxFaultHWPoison)), func(ctx SpecContext) {
				_, _, _, v, fd := made(ctx)
				punched := v.Syscall(
					ctx,
					"fallocate",
					fd,
					unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE,
					Page(bad),
					int64(512),
				)
				Expect(punched).To(BeOutcome(Errno("EIO")).PartOf(change.DaxFaultHWPoison, leaked))
			})

			// Before 7.x ext4 reports no error (ext4_truncate ignores the result of
			// ext4_block_truncate_page); 7.3.4 returns EIO. The commit is not known. See
			// docs/evidence/findings.md.
			if fs == XFS {
				It("ftruncate(2) to an offset within the bad page fails with EIO", scenario("truncate-part", "B07",
					Changes(change.DaxFaultHWPoison)), func(ctx SpecContext) {
					_, _, _, v, fd := made(ctx)
					truncated := v.Syscall(ctx, "ftruncate", fd, Page(bad)+512)
					Expect(truncated).To(BeOutcome(Errno("EIO")).PartOf(change.DaxFaultHWPoison, leaked))
				})
			}

			It("FALLOC_FL_ZERO_RANGE over the bad page succeeds, because it writes no data", scenario("zero-range",
				"B08"), func(ctx SpecContext) {
				_, _, f, v, fd := made(ctx)
				zeroed := v.Syscall(ctx, "fallocate", fd, unix.FALLOC_FL_ZERO_RANGE, Page(bad), PageBytes())
				load := v.Load(ctx, v.Map(ctx, f, Shared).At(Page(bad)+5))
				Expect(zeroed).To(BeOutcome(Returns(0)))
				Expect(load).To(BeOutcome(Reads(0)))
			})
		})
	}
})

// The kernel accesses the page on behalf of a process: get_user_pages(), and copies from
// user space.
var _ = describe("with a bad block in a DAX mapping", func() {
	for _, fs := range []FS{Ext4, XFS} {
		scenario := on(fs)
		// mapped returns a mapping with a bad page that was never accessed.
		mapped := func(ctx SpecContext, flags MapFlags) (*Guest, *Victim, *Mapping) {
			g := StartGuest(ctx)
			f := g.DAX(ctx, fs).File(ctx, 64*KiB)
			v := g.Victim(ctx)
			m := v.Map(ctx, f, flags)
			g.Inject(ctx, inject.BadBlock(f, Page(bad)))
			return g, v, m
		}
		populate := []Trait{Changes(change.DaxFaultHWPoison, change.MadvisePopulate)}
		populates := func() *Expectation {
			return DependOn(change.DaxFaultHWPoison,
				Before(Errno("EFAULT")),
				After(Errno("EHWPOISON")),
			).IfMissing(change.MadvisePopulate, Errno("EINVAL"))
		}
		Context("on "+fs.Text()+",", func() {
			It("MADV_POPULATE_READ fails: EHWPOISON since v6.5, EFAULT from v5.14 on, EINVAL before", scenario(
				"populate-read", "B09", populate...), func(ctx SpecContext) {
				_, v, m := mapped(ctx, Shared)
				Expect(v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_POPULATE_READ)).To(populates())
			})
			It("MADV_POPULATE_WRITE fails: EHWPOISON since v6.5, EFAULT from v5.14 on, EINVAL before", scenario(
				"populate-write", "B10", populate...), func(ctx SpecContext) {
				_, v, m := mapped(ctx, Shared)
				Expect(v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_POPULATE_WRITE)).To(populates())
			})
			It("MADV_POPULATE_WRITE (private) fails: EHWPOISON since v6.5, EFAULT from v5.14 on, EINVAL before", scenario(
				"populate-write-private", "B10", populate...), func(ctx SpecContext) {
				_, v, m := mapped(ctx, Private)
				Expect(v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_POPULATE_WRITE)).To(populates())
			})

			// mmap(2) does not report pages that it could not populate.
			It("mmap(2) with MAP_POPULATE succeeds, and a later load gets SIGBUS", scenario("map-populate",
				"B11", Changes(change.DaxFaultHWPoison)), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.DAX(ctx, fs).File(ctx, 64*KiB)
				v := g.Victim(ctx)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				m := v.Map(ctx, f, Shared|Populate)
				good := v.Load(ctx, m.At(Page(bad-1)+5))
				load := v.Load(ctx, m.At(Page(bad)+5))
				Expect(good).To(BeOutcome(Reads(Filled(bad - 1))))
				Expect(load).To(DependOn(change.DaxFaultHWPoison,
					Before(SIGBUS(BUS_ADRERR)),
					After(SIGBUS(BUS_MCEERR_AR, PageLSB()))))
			})

			// The kernel does not lock DAX pages (mlock_fixup) but still populates them, even
			// with MLOCK_ONFAULT. The catalogue expected that to succeed; seen on 5.10.262,
			// 6.1.192, 6.12.117 and 7.3.4.
			It("mlock(2) fails with ENOMEM, even with MLOCK_ONFAULT", scenario("mlock", "B12"), func(ctx SpecContext) {
				_, v, m := mapped(ctx, Shared)
				locked := v.Syscall(ctx, "mlock", m.At(Page(bad)), PageBytes())
				onFault := v.Syscall(ctx, "mlock2", m.At(Page(bad)), PageBytes(), unix.MLOCK_ONFAULT)
				Expect(locked).To(BeOutcome(Errno("ENOMEM")))
				Expect(onFault).To(BeOutcome(Errno("ENOMEM")))
			})

			It("process_vm_readv(2) of the bad page fails with EFAULT", scenario(
				"process-vm-readv", "B13"), func(ctx SpecContext) {
				_, v, m := mapped(ctx, Shared)
				buffer := v.MapAnonymous(ctx, PageBytes(), 0)
				read := v.Syscall(
					ctx,
					"process_vm_readv",
					v,
					Vec(buffer.At(0), PageBytes()),
					1,
					Vec(m.At(Page(bad)), PageBytes()),
					1,
					0,
				)
				Expect(read).To(BeOutcome(Errno("EFAULT")))
			})

			It("write(2) from the bad page fails with EFAULT, without a signal", scenario("write-from",
				"B14"), func(ctx SpecContext) {
				_, v, m := mapped(ctx, Shared)
				_, w := v.Pipe(ctx)
				Expect(v.Syscall(ctx, "write", w, m.At(Page(bad)), PageBytes())).To(BeOutcome(Errno("EFAULT")))
			})

			It("send(2) from the bad page fails with EFAULT, without a signal", scenario(
				"send-from", "B14"), func(ctx SpecContext) {
				_, v, m := mapped(ctx, Shared)
				socket, _ := v.SocketPair(ctx)
				Expect(v.Syscall(ctx, "sendto", socket, m.At(Page(bad)), PageBytes(), 0, 0, 0)).To(BeOutcome(Errno("EFAULT")))
			})

			It("read(2) into the bad page fails with EFAULT, without a signal", scenario(
				"read-into", "B15"), func(ctx SpecContext) {
				_, v, m := mapped(ctx, Shared)
				r, w := v.Pipe(ctx)
				v.Syscall(ctx, "write", w, []byte("a line of text"), 14)
				Expect(v.Syscall(ctx, "read", r, m.At(Page(bad)), int64(14))).To(BeOutcome(Errno("EFAULT")))
			})

			// pin_user_pages(), for a device that reads the page itself.
			It("a direct write from the bad page fails with EFAULT", scenario("direct-write-from",
				"B16", NeedsDisk(E820, Ext4)), func(ctx SpecContext) {
				g, v, m := mapped(ctx, Shared)
				d := g.Pmem(ctx, E820, Ext4)
				fd := v.Open(ctx, "/dev/"+d.Disk, d.Name, unix.O_WRONLY|unix.O_DIRECT)
				Expect(v.Syscall(ctx, "pwrite64", fd, m.At(Page(bad)), PageBytes(), 0)).To(BeOutcome(Errno("EFAULT")))
			})

			// access_remote_vm() reads no byte.
			It("a read of the bad page through /proc/self/mem fails with EIO", scenario(
				"proc-mem", "B17"), func(ctx SpecContext) {
				_, v, m := mapped(ctx, Shared)
				fd := v.Open(ctx, "/proc/self/mem", "mem", unix.O_RDONLY)
				Expect(v.Syscall(ctx, "pread64", fd, Out(8), 8, m.At(Page(bad)))).To(BeOutcome(Errno("EIO")))
			})

			It("PTRACE_PEEKDATA of the bad page fails with EIO", scenario("ptrace-peek", "B17"), func(ctx SpecContext) {
				g, v, m := mapped(ctx, Shared)
				tracer := g.Second(ctx)
				tracer.Trace(ctx, v)
				good := tracer.Peek(ctx, v, m.At(Page(bad+1)))
				peek := tracer.Peek(ctx, v, m.At(Page(bad)))
				Expect(good).To(BeOutcome(Reads(Filled(bad + 1))))
				Expect(peek).To(BeOutcome(Errno("EIO")))
			})

			It("vmsplice(2) from the bad page fails with EFAULT", scenario("vmsplice", "B18"), func(ctx SpecContext) {
				_, v, m := mapped(ctx, Shared)
				_, w := v.Pipe(ctx)
				Expect(v.Syscall(ctx, "vmsplice", w, Vec(m.At(Page(bad)), PageBytes()), 1, 0)).To(BeOutcome(Errno("EFAULT")))
			})

			It("futex(2) on the bad page fails with EFAULT", scenario("futex", "B18"), func(ctx SpecContext) {
				_, v, m := mapped(ctx, Shared)
				const wake = 1
				Expect(v.Syscall(ctx, "futex", m.At(Page(bad)), wake, 1, 0, 0, 0)).To(BeOutcome(Errno("EFAULT")))
			})

			// The kernel reads the program from the file (kernel_read).
			It("execve(2) of the mapped file fails with EIO", scenario("execve",
				"B25", Changes(change.DaxFaultHWPoison)), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.DAX(ctx, fs).File(ctx, 64*KiB)
				v := g.Victim(ctx)
				v.Syscall(ctx, "fchmod", v.Open(ctx, f.Path, f.Name, unix.O_RDONLY), 0o755)
				g.Inject(ctx, inject.BadBlock(f, 0))
				Expect(v.Syscall(ctx, "execve", f.Path, 0, 0)).To(BeOutcome(Errno("EIO")).PartOf(change.DaxFaultHWPoison, leaked))
			})

			It("sendfile(2) from the mapped file fails with EIO", scenario("sendfile",
				"B20", Changes(change.DaxFaultHWPoison)), func(ctx SpecContext) {
				_, v, m := mapped(ctx, Shared)
				_, w := v.Pipe(ctx)
				v.Syscall(ctx, "lseek", m.FD(), Page(bad), 0)
				got := v.Syscall(ctx, "sendfile", w, m.FD(), 0, PageBytes())
				Expect(got).To(BeOutcome(Errno("EIO")).PartOf(change.DaxFaultHWPoison, leaked))
			})

			It("copy_file_range(2) from the mapped file fails with EIO", scenario("copy-file-range",
				"B20", Changes(change.DaxFaultHWPoison)), func(ctx SpecContext) {
				g := StartGuest(ctx)
				mount := g.DAX(ctx, fs)
				f, copied := mount.File(ctx, 64*KiB), mount.File(ctx, 64*KiB, Unwritten())
				v := g.Victim(ctx)
				from, to := v.OpenFile(ctx, f), v.OpenFile(ctx, copied)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				v.Syscall(ctx, "lseek", from, Page(bad), 0)
				got := v.Syscall(ctx, "copy_file_range", from, 0, to, 0, PageBytes(), 0)
				Expect(got).To(BeOutcome(Errno("EIO")).PartOf(change.DaxFaultHWPoison, leaked))
			})

			It("splice(2) from the mapped file fails with EIO", scenario("splice",
				"B20", Changes(change.DaxFaultHWPoison)), func(ctx SpecContext) {
				_, v, m := mapped(ctx, Shared)
				_, w := v.Pipe(ctx)
				v.Syscall(ctx, "lseek", m.FD(), Page(bad), 0)
				got := v.Syscall(ctx, "splice", m.FD(), 0, w, 0, PageBytes(), 0)
				Expect(got).To(BeOutcome(Errno("EIO")).PartOf(change.DaxFaultHWPoison, leaked))
			})
		})
	}
})
