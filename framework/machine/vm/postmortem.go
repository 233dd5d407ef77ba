package vm

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/faultline/faultline/framework/machine/qemu"
)

// postMortem is the state of a guest that ended its machine.
type postMortem struct {
	mu        sync.Mutex
	registers string
	autopsy   func(context.Context, *qemu.Monitor) // see CloneOptions
}

// vectors matches lines of registers without addresses and flags.
var vectors = regexp.MustCompile(`(?m)^(?:FCW|FPR|[XYZ]MM|Opmask)\w*=.*\n?`)

// registersOf returns the registers of all CPUs.
func registersOf(ctx context.Context, m *qemu.Monitor) string {
	output, err := m.HMP(ctx, "info registers -a")
	if err != nil { // QEMU ended, which is reported elsewhere
		return ""
	}
	return strings.TrimSpace(vectors.ReplaceAllString(output, ""))
}

// captureRegisters stores the registers of a guest that ended its machine: it panicked,
// was reset or is switched off.
func (g *Guest) captureRegisters(ctx context.Context, m *qemu.Monitor) {
	registers := registersOf(ctx, m)
	g.postMortem.mu.Lock()
	g.postMortem.registers = registers
	g.postMortem.mu.Unlock()
	if g.postMortem.autopsy != nil {
		g.postMortem.autopsy(ctx, m)
	}
}

// registersLimit limits the request for the registers of a running guest: a QEMU that is
// stopped itself does not answer.
const registersLimit = 2 * time.Second

// processors returns the registers with which the guest ended, or its current ones; empty
// if QEMU does not return them.
func (g *Guest) processors() string {
	g.postMortem.mu.Lock()
	registers := g.postMortem.registers
	g.postMortem.mu.Unlock()
	if registers != "" || g.proc.Err() != nil {
		return registers
	}
	ctx, cancel := context.WithTimeout(context.Background(), registersLimit)
	defer cancel()
	m := g.proc.Monitor
	status, err := m.Status(ctx)
	if err != nil {
		return ""
	}
	if status == "running" { // stop it for a consistent state
		if err := m.Run(ctx, "stop", nil, nil); err != nil {
			return ""
		}
		defer func() { _ = m.Run(ctx, "cont", nil, nil) }() // a guest that cannot continue stays silent
	}
	return registersOf(ctx, m)
}

// setStarved sets Starved, and a hint, if QEMU waited for a core for more than half of
// the life of a guest that does not answer.
func (t *GuestError) setStarved(life, waited time.Duration) {
	if t.Starved = waited > life/2; t.Starved {
		t.Hint = fmt.Sprintf(
			"its QEMU waited %v of %v for a core; run again when this machine is less busy",
			waited.Round(time.Second/10),
			life.Round(time.Second/10),
		)
	}
}

var instruction = regexp.MustCompile(`(?m)^RIP=([0-9a-f]+) RFL=([0-9a-f]+) .*\bHLT=([01])`)

// interruptFlag is IF in RFLAGS.
const interruptFlag = 1 << 9

// standing describes where CPUs are.
func standing(registers string) string {
	var words []string
	for n, r := range instruction.FindAllStringSubmatch(registers, -1) {
		flags, _ := strconv.ParseUint(r[2], 16, 64)
		what := fmt.Sprintf("processor %d is at 0x%s", n, r[1])
		if r[3] == "1" {
			what += ", halted"
		}
		if flags&interruptFlag == 0 {
			what += ", with interrupts off"
		}
		words = append(words, what)
	}
	return strings.Join(words, "; ")
}
