package inject

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/guest/wire"
)

// The values are known to be handled by Linux according to their names.
func TestKnownGood(t *testing.T) {
	const addr = 0x100a04000
	for _, c := range []struct {
		name    string
		m       MachineCheck
		cpu     int
		command string
	}{
		{"SRAR", SRAR(), 0, "mce 0 9 0xbd80000000000134 0xf 0x100a04000 0x8c"},
		{"SRAR on the second processor", SRAR(), 1, "mce 1 9 0xbd80000000000134 0xf 0x100a04000 0x8c"},
		{"SRAR broadcast", SRAR().Everywhere(), 0, "mce -b 0 9 0xbd80000000000134 0x7 0x100a04000 0x8c"},
		{"SRAO", SRAO(), 0, "mce 0 9 0xbd000000000000c0 0xd 0x100a04000 0x8c"},
		{"SRAO broadcast", SRAO().Everywhere(), 0, "mce -b 0 9 0xbd000000000000c0 0x5 0x100a04000 0x8c"},
		{"UCNA", UCNA(), 0, "mce 0 9 0xbc0000000000009f 0xd 0x100a04000 0x8c"},
		{"UCNA of a cache line", UCNA().Bytes(64), 0, "mce 0 9 0xbc0000000000009f 0xd 0x100a04000 0x86"},
		{"SRAR of a huge page", SRAR().Bytes(2 << 20), 0, "mce 0 9 0xbd80000000000134 0xf 0x100a04000 0x95"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.m.Command(c.cpu, addr); got != c.command {
				t.Errorf("got %s, want %s", got, c.command)
			}
		})
	}
}

// Each field is at the bit that the manual specifies.
func TestFields(t *testing.T) {
	for _, c := range []struct {
		name string
		s    Status
		want uint64
	}{
		{"VAL", Status{VAL: true}, 1 << 63}, {"OVER", Status{OVER: true}, 1 << 62}, {"UC", Status{UC: true}, 1 << 61},
		{"EN", Status{EN: true}, 1 << 60}, {"MISCV", Status{MISCV: true}, 1 << 59}, {"ADDRV", Status{ADDRV: true}, 1 << 58},
		{"PCC", Status{PCC: true}, 1 << 57}, {"S", Status{S: true}, 1 << 56}, {"AR", Status{AR: true}, 1 << 55},
		{"MSCOD", Status{MSCOD: 0xffff}, 0xffff0000}, {"MCACOD", Status{MCACOD: 0xffff}, 0xffff}, {"none", Status{}, 0},
	} {
		if got := c.s.Encode(); got != c.want {
			t.Errorf("%s: got %#x, want %#x", c.name, got, c.want)
		}
	}
	for _, c := range []struct {
		name string
		s    GlobalStatus
		want uint64
	}{{"RIPV", GlobalStatus{RIPV: true}, 1}, {"EIPV", GlobalStatus{EIPV: true}, 2}, {"MCIP", GlobalStatus{MCIP: true}, 4}, {"LMCE", GlobalStatus{LMCE: true}, 8}} {
		if got := c.s.Encode(); got != c.want {
			t.Errorf("%s: got %#x, want %#x", c.name, got, c.want)
		}
	}
	for _, c := range []struct {
		name string
		m    Misc
		want uint64
	}{
		{"a page, physical", Misc{12, PhysicalAddress}, 0x8c}, {"a cache line, physical", Misc{6, PhysicalAddress}, 0x86},
		{"generic", Misc{0, GenericAddress}, 0x1c0}, {"the widest", Misc{63, SegmentOffset}, 0x3f},
	} {
		if got := c.m.Encode(); got != c.want {
			t.Errorf("%s: got %#x, want %#x", c.name, got, c.want)
		}
	}
}

// guest answers like one whose processor has that vendor.
type guest struct {
	args    []string
	cpuinfo string
	asked   int
}

func (g *guest) Args() []string         { return g.args }
func (g *guest) Monitor() *qemu.Monitor { return nil }
func (g *guest) Call(context.Context, *wire.Request) (*wire.Reply, error) {
	g.asked++
	return &wire.Reply{File: &wire.File{Data: []byte(g.cpuinfo)}}, nil
}

func TestRefusesWhatWouldPanic(t *testing.T) {
	const amd, known = "processor\t: 0\nvendor_id\t: AuthenticAMD\n", "processor\t: 0\nvendor_id\t: GenuineIntel\n"
	pcc, noRIPV := SRAR(), SRAR()
	pcc.Status.PCC = true
	noRIPV.Global.RIPV = false
	for _, c := range []struct {
		name  string
		m     MachineCheck
		g     guest
		says  string // "" where it is not refused
		asked int
	}{
		{"intel by argument", SRAR(), guest{args: []string{"-cpu", "max,vendor=GenuineIntel"}}, "", 0},
		{"intel by cpuinfo", SRAR(), guest{args: []string{"-cpu", "Skylake-Server"}, cpuinfo: known}, "", 1},
		{"amd by argument", SRAO(), guest{args: []string{"-cpu", "max,vendor=AuthenticAMD"}}, `"AuthenticAMD"`, 0},
		{"amd by cpuinfo", UCNA(), guest{args: []string{"-cpu", "max"}, cpuinfo: amd}, `"AuthenticAMD"`, 1},
		{"amd, recklessly", SRAR().Recklessly(), guest{args: []string{"-cpu", "max"}, cpuinfo: amd}, "", 0},
		{"corrupt context", pcc, guest{args: []string{"-cpu", "max,vendor=GenuineIntel"}}, "PCC", 0},
		{"nowhere to go on", noRIPV, guest{args: []string{"-cpu", "max,vendor=GenuineIntel"}}, "RIPV", 0},
		{"no argument at all", SRAR(), guest{cpuinfo: amd}, `"AuthenticAMD"`, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.m.survivable(context.Background(), &c.g)
			var fatal *FatalError
			switch {
			case c.says == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case c.says != "" && (!errors.As(err, &fatal) || !strings.Contains(err.Error(), c.says)):
				t.Errorf("got %v, want a refusal with the text %s", err, c.says)
			}
			if c.g.asked != c.asked {
				t.Errorf("got %d requests to the guest, want %d", c.g.asked, c.asked)
			}
		})
	}
}
