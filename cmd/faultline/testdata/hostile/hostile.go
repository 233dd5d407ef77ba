// Package hostile is a suite that tests how runs handle guests that misbehave. Its
// kernels are good; the scenarios cause the failures.
package hostile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/inject"
)

var describe = Suite("hostile")

const sysrq = "/proc/sysrq-trigger"

var _ = describe("a guest", func() {
	// The other scenarios must not affect this one.
	It("behaves", Scenario("hostile/control"), func(ctx SpecContext) {
		g := StartGuest(ctx)
		f := g.DAX(ctx, Ext4).File(ctx, 64*KiB)
		v := g.Victim(ctx)
		Expect(v.Load(ctx, v.Map(ctx, f, Shared).At(Page(1)))).To(BeOutcome(Reads(Filled(1))))
	})

	It("panics before anything is bad", Scenario("hostile/panic"), func(ctx SpecContext) {
		StartGuest(ctx).WriteFile(ctx, sysrq, "c")
	})

	It("panics when something is bad", Scenario("hostile/panic-of-poison"), func(ctx SpecContext) {
		g := StartGuest(ctx)
		f := g.DAX(ctx, Ext4).File(ctx, 64*KiB)
		g.Inject(ctx, inject.BadBlock(f, Page(1)))
		g.WriteFile(ctx, sysrq, "c")
	})

	It("restarts", Scenario("hostile/reset"), func(ctx SpecContext) {
		StartGuest(ctx).WriteFile(ctx, sysrq, "b")
	})

	It("loses its agent", Scenario("hostile/agent-killed"), func(ctx SpecContext) {
		v := StartGuest(ctx).Victim(ctx)
		v.Syscall(ctx, "kill", agent(ctx, v), int(unix.SIGKILL))
		v.Syscall(ctx, "sched_yield")
	})

	// The victim takes the agent's own descriptor of the port.
	It("speaks for its agent", Scenario("hostile/corrupt"), func(ctx SpecContext) {
		v := StartGuest(ctx).Victim(ctx)
		of := *v.Syscall(ctx, "pidfd_open", agent(ctx, v), 0).Ret
		for fd := range 16 {
			took := v.Syscall(ctx, "pidfd_getfd", of, fd, 0)
			if took.Errno == "" {
				v.Syscall(ctx, "write", *took.Ret, []byte("::error::\x1b]0;forged\a{\"id\":\n"), 27)
			}
		}
	})

	It("stands still", Scenario("hostile/hang"), func(ctx SpecContext) {
		g := StartGuest(ctx)
		Expect(g.Monitor().Run(ctx, "stop", nil, nil)).To(Succeed())
		short, cancel := context.WithTimeoutCause(ctx, time.Second, errors.New("no answer within a second"))
		defer cancel()
		g.ReadFile(short, "/proc/uptime")
	})

	// The kernel kills the process that uses the most memory.
	It("runs out of memory", Scenario("hostile/out-of-memory"), func(ctx SpecContext) {
		g := StartGuest(ctx)
		g.WriteFile(ctx, "/proc/sys/vm/overcommit_memory", "1")
		v := g.Victim(ctx)
		seen := v.Syscall(ctx, "mmap", 0, 1<<30, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|
			unix.MAP_ANONYMOUS|unix.MAP_POPULATE, -1, 0)
		Expect(seen.Exit).To(HaveField("Signal", "SIGKILL"))
	})

	It("floods its console", Scenario("hostile/flood"), func(ctx SpecContext) {
		g := StartGuest(ctx)
		for n := range 100 {
			g.WriteFile(ctx, "/dev/kmsg", fmt.Sprintf("<0>%d %s", n, strings.Repeat("flood ", 150)))
		}
		f := g.DAX(ctx, Ext4).File(ctx, 64*KiB)
		v := g.Victim(ctx)
		Expect(v.Load(ctx, v.Map(ctx, f, Shared).At(Page(1)))).To(BeOutcome(Reads(Filled(1))))
	})
})

// agent returns the process id of the victim's parent.
func agent(ctx context.Context, v *Victim) int64 { return *v.Syscall(ctx, "getppid").Ret }
