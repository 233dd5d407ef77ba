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

// remains are what a guest that ended its machine left behind.
type remains struct {
	mu        sync.Mutex
	registers string
	autopsy   func(context.Context, *qemu.Monitor) // see CloneOptions
}

// vectors are lines of registers that hold no address and no flag.
var vectors = regexp.MustCompile(`(?m)^(?:FCW|FPR|[XYZ]MM|Opmask)\w*=.*\n?`)

// registersOf asks QEMU for the registers of every processor.
func registersOf(ctx context.Context, m *qemu.Monitor) string {
	said, err := m.HMP(ctx, "info registers -a")
	if err != nil { // QEMU's end, which is told
		return ""
	}
	return strings.TrimSpace(vectors.ReplaceAllString(said, ""))
}

// captureRegisters looks at a guest that ended its machine: it panicked, was reset, or is off.
func (g *Guest) captureRegisters(ctx context.Context, m *qemu.Monitor) {
	registers := registersOf(ctx, m)
	g.remains.mu.Lock()
	g.remains.registers = registers
	g.remains.mu.Unlock()
	if g.remains.autopsy != nil {
		g.remains.autopsy(ctx, m)
	}
}

// registersLimit bounds the question for the registers of a guest that runs: a QEMU
// that stands still itself does not answer it.
const registersLimit = 2 * time.Second

// processors are the registers that the guest ended with, or has now; empty where
// QEMU does not tell.
func (g *Guest) processors() string {
	g.remains.mu.Lock()
	registers := g.remains.registers
	g.remains.mu.Unlock()
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
	if status == "running" { // what changes meanwhile is no state
		if err := m.Run(ctx, "stop", nil, nil); err != nil {
			return ""
		}
		defer func() { _ = m.Run(ctx, "cont", nil, nil) }() // what can't go on is silent, as it was
	}
	return registersOf(ctx, m)
}

// setStarved notes whether this machine let a silent guest starve, after so long a life
// in which its QEMU waited so long for a core.
func (t *GuestError) setStarved(life, waited time.Duration) {
	if t.Starved = waited > life/2; t.Starved {
		t.Hint = fmt.Sprintf("its QEMU waited %v of %v for a core; run again when this machine is less busy", waited.Round(time.Second/10), life.Round(time.Second/10))
	}
}

var instruction = regexp.MustCompile(`(?m)^RIP=([0-9a-f]+) RFL=([0-9a-f]+) .*\bHLT=([01])`)

// interruptFlag is IF in RFLAGS.
const interruptFlag = 1 << 9

// standing says in words where processors stand.
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
