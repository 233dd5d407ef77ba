// Package framework is the API for writing scenarios.
//
// A scenario is a Ginkgo spec that starts a guest, sets it up, injects a memory error,
// and compares what user space observes with an expectation:
//
//	var describe = Suite("dax")
//
//	var _ = describe("a DAX fault on a bad block", func() {
//		It("delivers SIGBUS to a reader", Scenario("dax/ext4/shared-read",
//			NeedsDAX(NFIT, Ext4), Changes(change.DaxFaultHWPoison)), func(ctx SpecContext) {
//			g := StartGuest(ctx)
//			f := g.DAX(ctx, Ext4).File(ctx, 64*KiB)
//			v := g.Victim(ctx)
//			m := v.Map(ctx, f, Shared)
//			g.Inject(ctx, inject.BadBlock(f, Page(4)))
//			Expect(v.Load(ctx, m.At(Page(4)))).To(DependOn(change.DaxFaultHWPoison,
//				Before(SIGBUS(BUS_ADRERR)), After(SIGBUS(BUS_MCEERR_AR, PageLSB()))))
//		})
//	})
//
// A suite is a package whose specs are declared through Suite(name); list it in package
// suites to link it in. Suites import this package with a dot, as they do Ginkgo and
// Gomega. docs/guides/first-scenario.md is a tutorial.
//
// # Guests
//
// [StartGuest] returns a virtual machine that runs the kernel under test and is used by
// this scenario only. [CPUs], [Memory] and [AMD] change its hardware. The methods of
// [Guest] and [Victim] are the primitives. Each does one thing and, with documented
// exceptions, records a step: the actor, the action and its outcome. A primitive that
// fails for a reason other than the kernel's behaviour ends the scenario as an
// infrastructure failure, so scenarios need not check errors.
//
// # Files and mappings
//
// [Guest.DAX], [Guest.PageCache] and [Guest.Mount] mount a device; [Mount.File] makes a
// file on it. [Guest.TmpfsFile], [Guest.HugeFile] and [Guest.DeviceDAX] make other files.
// [Victim.Map] and [Victim.MapAnonymous] return a [Mapping], and [Mapping.At] an address
// in it. Addresses in steps are canonical: "file+0x4000", not a number. If a victim maps
// a file twice, the second mapping is called "file#2": see [Mapping].
//
// # Victims
//
// A [Victim] is a process that accesses memory ([Victim.Load], [Victim.Store],
// [Victim.Jump]) and makes system calls ([Victim.Syscall]). It survives SIGBUS: its
// handler records the siginfo_t and resumes after the access, so that the victim can be
// used again. [Guest.VictimAs] sets another disposition. [Victim.Fork], [Victim.Thread]
// and [Guest.Second] start other processes and threads.
//
// # Injections
//
// [Guest.Inject] applies an injection of package inject: a bad block, memory_failure()
// through one of the kernel's interfaces, or a machine check. [Victim.Consume] and
// [Guest.Consume] raise a machine check exactly at an access, under TCG only.
//
// # Expectations
//
// A primitive returns an [Observation]. [BeOutcome] expects the same [Pattern] on all
// kernels; [DependOn] expects one pattern [Before] a change and one [After] it. A
// scenario does not state which side a kernel must be on: package judge concludes that
// from all scenarios that depend on the change. A pattern covers the whole outcome; for
// example, SIGBUS(BUS_MCEERR_AR) without [PageLSB] expects si_addr_lsb to be 0.
//
// # Witnesses
//
// Witnesses are states that the framework records at the end of each scenario: the kernel
// log, the kernel's complaints about itself, its taint, the bad blocks of mounted devices
// and, if memory was poisoned, HardwareCorrupted, the flags of the poisoned pages, and the
// counters and trace events of memory failures. witness.go reads them. They are compared
// between kernels like outcomes. [Guest.AwaitLog], [Guest.AwaitBadBlocks] and
// [Victim.AwaitSignal] wait for what the kernel does asynchronously; [Guest.IgnoreInWitness]
// excludes what cannot be waited for.
//
// # Traits
//
// [Scenario] takes traits, which are known without running the scenario: what the kernel
// must support ([Needs] and NeedsDAX, NeedsPageMap, …), the changes on which it depends
// ([Changes], in addition to [DependOn]), whether it needs TCG ([OnTCG], implied by
// [Exactly] and [IntelMachineCheck]), and the number of a prediction that it checks
// ([Catalogue]). All traits are optional.
//
// The package does not compare kernels and does not judge: it passes each finished
// scenario to package framework/run/suite as a cell.
package framework
