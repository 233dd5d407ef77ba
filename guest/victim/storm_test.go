package victim

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/guest/wire"
)

// storm faults repeatedly while the garbage collector runs.
func storm(n int) error {
	if err := Install(wire.Handle); err != nil {
		return err
	}
	f, err := os.CreateTemp("", "storm")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := f.Truncate(100); err != nil {
		return err
	}
	m, err := newMapper().mmap(&wire.Map{Path: f.Name(), Length: 8192, Prot: unix.PROT_READ, Flags: unix.MAP_SHARED})
	if err != nil {
		return err
	}
	var garbage [][]byte
	for i := range n {
		a, err := Touch(&wire.Access{Kind: wire.Load, Addr: m.Addr + 4096 + uint64(i%4096), Width: 1})
		if err != nil {
			return err
		}
		if a.Done || len(a.Signals) != 1 || binary.LittleEndian.Uint64(a.Signals[0][16:]) != m.Addr+4096+uint64(i%4096) {
			os.Stderr.WriteString("a fault was reported wrongly\n")
			os.Exit(1)
		}
		if garbage = append(garbage, make([]byte, 10_000)); len(garbage) == 500 {
			garbage = nil
			runtime.GC()
		}
	}
	return nil
}

func TestTenThousandFaults(t *testing.T) {
	cmd := exec.Command("/proc/self/exe", "storm")
	cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// Only a signal stops a victim that spins.
func TestSpin(t *testing.T) {
	s := start(t, wire.Handle)
	path := filepath.Join(t.TempDir(), "page")
	if err := os.WriteFile(path, make([]byte, 4096), 0o666); err != nil {
		t.Fatal(err)
	}
	m := s.mmap(&wire.Map{Path: path, Length: 2 * 4096, Prot: unix.PROT_READ, Flags: unix.MAP_SHARED})
	spin := func(addr uint64) *wire.Request {
		return &wire.Request{Access: &wire.Access{Kind: wire.Load, Addr: addr, Width: 1, Spin: true}}
	}
	signal(t, s.must(spin(m.Addr+4096)).Accessed, siginfo.SIGBUS, siginfo.BusADRERR, m.Addr+4096)
	const spun = 100 * time.Millisecond
	time.AfterFunc(spun, func() {
		// Remove the page while the victim loads from it.
		if err := os.Truncate(path, 0); err != nil {
			t.Error(err)
		}
	})
	begun := time.Now()
	signal(t, s.must(spin(m.Addr)).Accessed, siginfo.SIGBUS, siginfo.BusADRERR, m.Addr)
	if took := time.Since(begun); took < spun {
		t.Errorf("got the end after %v, want it after the signal", took)
	}
}
