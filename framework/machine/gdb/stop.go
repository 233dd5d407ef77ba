package gdb

import (
	"fmt"
	"strconv"
	"strings"
)

// Access is the kind of access for which a watchpoint stops.
type Access string

const (
	Write Access = "watch"  // Z2
	Read  Access = "rwatch" // Z3
	Any   Access = "awatch" // Z4
)

// Signals by which QEMU reports why the guest stopped (gdbstub.c,
// gdb_vm_state_change).
const (
	SignalInterrupt = 2 // a request: a connection, Interrupt, QMP
	SignalQuit      = 3 // the guest ended its machine: RUN_STATE_SHUTDOWN
	SignalTrap      = 5 // a watchpoint or breakpoint; also the answer to "?"
)

// Stop is a stop reply: all vCPUs are stopped.
type Stop struct {
	Signal int
	// CPU is the index of the vCPU that it is about, from 0; QEMU's thread n is
	// vCPU n-1.
	CPU int
	// Access is set when a watchpoint was hit, and Addr is the watchpoint's.
	Access Access
	Addr   uint64
	// Ended is set if the guest has ended.
	Ended bool
}

// isStop reports whether a packet is a stop reply.
func isStop(data []byte) bool {
	return len(data) > 0 && strings.IndexByte("TSWX", data[0]) >= 0
}

// parseStop reads a stop reply: "T05thread:01;awatch:7f0000000000;", "S05", "W00".
func parseStop(data []byte) (Stop, error) {
	bad := func() (Stop, error) {
		return Stop{}, fmt.Errorf("%w: stop reply %.80q", ErrMalformed, data)
	}
	if !isStop(data) || len(data) < 3 {
		return bad()
	}
	number, err := strconv.ParseUint(string(data[1:3]), 16, 8)
	if err != nil {
		return bad()
	}
	s := Stop{Signal: int(number)}
	switch {
	case data[0] == 'W', data[0] == 'X', number == SignalQuit:
		return Stop{Ended: true}, nil
	case data[0] == 'S':
		return s, nil
	}
	for _, pair := range strings.Split(string(data[3:]), ";") {
		key, value, ok := strings.Cut(pair, ":")
		switch {
		case pair == "":
		case !ok:
			return bad()
		case key == "thread":
			if s.CPU, err = parseThread(value); err != nil {
				return bad()
			}
		case key == string(Write), key == string(Read), key == string(Any):
			if s.Addr, err = strconv.ParseUint(value, 16, 64); err != nil {
				return bad()
			}
			s.Access = Access(key)
		}
	}
	return s, nil
}

// parseThread parses a thread id, "02" or "p01.02", as a vCPU's index.
func parseThread(s string) (int, error) {
	if s, ok := strings.CutPrefix(s, "p"); ok {
		_, thread, ok := strings.Cut(s, ".")
		if !ok {
			return 0, strconv.ErrSyntax
		}
		return parseThread(thread)
	}
	n, err := strconv.ParseUint(s, 16, 16)
	if err != nil || n == 0 {
		return 0, strconv.ErrSyntax
	}
	return int(n) - 1, nil
}
