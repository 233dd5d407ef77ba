package mce

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/record/observe"
)

// copyPanics is the outcome when a kernel hits poison in a copy without a handler for
// machine checks.
var copyPanics = Panics("Data load in unrecoverable area of kernel")

// copier ignores log lines that race with the copier of a poisoned page. The copier queues
// memory_failure() as a work item (copy_mc_user_highpage, memory_failure_queue). If that
// runs before the copier releases the page, it logs that the page is still referenced and
// its recovery failed. Seen on 7.2 and 7.3, in 2 or 3 of 10 runs.
func copier(g *Guest) {
	const why = "memory_failure() runs in a work item, before or after the copier releases the page"
	g.IgnoreInWitness(
		observe.WitnessLog,
		"recovery action for|still referenced by|corrupted page was clean|Sending SIGBUS",
		why,
	)
}

var _ = describe("poison consumed by the kernel", func() {
	// wp_page_copy: the kernel reads the page that the child shares with its parent.
	It("while it copies for copy-on-write after fork(2) sends SIGBUS since v6.2, and panics before", scenario(
		"anon/cow", "E04", consumes(Changes(change.CopyUserHighpageMC), Needs("PROC_KCORE"))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		g.AllowPanic()
		copier(g)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		child := v.Fork(ctx, "child")
		store := g.Consume(
			ctx,
			inject.SRAR(),
			v.InKernel(ctx, m.At(Page(bad))),
			func() *Started { return child.StartStore(m.At(at())) },
		)
		g.AwaitLog(ctx, Recovered)
		Expect(store).To(DependOn(change.CopyUserHighpageMC, Before(copyPanics), mceerr()))
	})

	for _, fs := range []FS{Ext4, XFS} {
		needs := []Trait{NeedsDisk(NFIT, fs), Needs("PROC_KCORE")}
		Context("in the page cache of "+fs.Text(), func() {
			It("while it copies for copy-on-write of a private mapping sends SIGBUS since v6.2, and panics before",
				scenario("pagecache-"+string(fs)+"/cow", "E04",
					consumes(append(needs, Changes(change.CopyUserHighpageMC))...)...), func(ctx SpecContext) {
					g := StartGuest(ctx)
					g.AllowPanic()
					copier(g)
					// A file of one page has a small folio on every kernel.
					f := g.PageCache(ctx, fs).File(ctx, PageBytes())
					v := g.Victim(ctx)
					m := v.Map(ctx, f, Private)
					v.Load(ctx, m.At(5))
					store := g.Consume(ctx, inject.SRAR(), v.InKernel(ctx, m.At(0)), func() *Started { return v.StartStore(m.At(5)) })
					g.AwaitLog(ctx, Recovered)
					Expect(store).To(DependOn(change.CopyUserHighpageMC, Before(copyPanics), mceerr()))
				})

			// copy_to_user reads the page without a handler for machine checks
			// (error_context in arch/x86/kernel/cpu/mce/severity.c handles only copies
			// from user space).
			It("for pread(2) panics the kernel", scenario("pagecache-"+string(fs)+"/read",
				"D09", consumes(needs...)...), func(ctx SpecContext) {
				g := StartGuest(ctx)
				g.AllowPanic()
				f := g.PageCache(ctx, fs).File(ctx, 64*KiB)
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				v.Load(ctx, m.At(at()))
				read := g.Consume(ctx, inject.SRAR().Recklessly(), v.InKernel(ctx, m.At(Page(bad))), func() *Started {
					return v.StartSyscall("pread64", m.FD(), Out(PageBytes()), PageBytes(), Page(bad))
				})
				Expect(read).To(BeOutcome(copyPanics))
			})
		})
	}

	// copy_from_user survives the poison and returns the number of bytes not copied, so
	// that the call fails as with a bad address. Before v5.16 it returned 0, so that its
	// callers did not retry and hit the poison again, and the task got a signal
	// (copy_user_handle_tail in arch/x86/lib/copy_user_64.S of v5.10).
	It("in the data of write(2) makes the call fail with EFAULT since v5.16; before, it sends SIGBUS", scenario(
		"anon/write", "E32", consumes(Changes(change.CopyFromUserQuiet))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		_, w := v.Pipe(ctx)
		write := g.Consume(ctx, inject.SRAR(), v.In(ctx, m.At(Page(bad))), func() *Started {
			return v.StartSyscall("write", w, m.At(Page(bad)), PageBytes())
		})
		g.AwaitLog(ctx, Recovered)
		again := v.Load(ctx, m.At(at()))
		Expect(write).To(DependOn(change.CopyFromUserQuiet,
			Before(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad))), Returning(PageBytes()))),
			After(Errno("EFAULT"))))
		Expect(again).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB())))
	})

	// get_user() reads one word with one load. Kernels from v5.17 to v6.14 panic there
	// without 1a15bb8303b6 ("x86/mce: use is_copy_from_user() to determine copy-from-user
	// context"), which stable kernels have.
	getUser := func(ctx SpecContext, start func(v *Victim, a Addr) *Started) {
		g := StartGuest(ctx)
		g.AllowPanic()
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		called := g.Consume(
			ctx,
			inject.SRAR(),
			v.In(ctx, m.At(Page(bad))),
			func() *Started { return start(v, m.At(Page(bad))) },
		)
		g.AwaitLog(ctx, Recovered)
		again := v.Load(ctx, m.At(at()))
		Expect(called).To(DependOn(change.CopyFromUserQuiet,
			Before(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad))), Failing("EFAULT"))),
			After(Errno("EFAULT"))))
		Expect(again).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB())))
	}
	It("in its argument makes ioctl(2) fail with EFAULT, before v5.16 also with SIGBUS", scenario("anon/ioctl",
		"E31", consumes(Changes(change.CopyFromUserQuiet))...), func(ctx SpecContext) {
		getUser(ctx, func(v *Victim, a Addr) *Started {
			_, w := v.Pipe(ctx)
			return v.StartSyscall("ioctl", w, fionbio, a)
		})
	})
	It("in the futex word makes futex(2) fail with EFAULT, before v5.16 also with SIGBUS", scenario("anon/futex",
		"E31", consumes(Changes(change.CopyFromUserQuiet))...), func(ctx SpecContext) {
		getUser(ctx, func(v *Victim, a Addr) *Started {
			return v.StartSyscall("futex", a, waitPrivate, 1, 0)
		})
	})
})

const (
	fionbio     = 0x5421 // FIONBIO (asm-generic/ioctls.h)
	waitPrivate = 128    // FUTEX_WAIT_PRIVATE (linux/futex.h)
)

var _ = describe("on an AMD processor without SUCCOR,", func() {
	// mce_severity_amd: an uncorrected error without recovery. The catalogue expected
	// every kernel to panic; 5.10.262 logs the error, sends no signal and keeps the page,
	// so that the load hits the poison again.
	It("consuming poison panics the kernel since v5.19; before, the load does not return", scenario("amd/srar",
		"D11", consumes(Changes(change.AMDPanics))...), func(ctx SpecContext) {
		g := StartGuest(ctx, AMD())
		g.AllowPanic()
		g.IgnoreInWitness(observe.WitnessLog, "MCE records pool full",
			"it depends on how often the load hits the poison before the timeout")
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		load := v.Consume(ctx, inject.SRAR().Recklessly(), m.At(at()))
		Expect(load).To(DependOn(change.AMDPanics, Before(Hangs()), After(Panics("Uncorrected error without MCA Recovery"))))
	})
})
