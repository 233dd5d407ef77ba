package rewind

import (
	"errors"
	"testing"

	"github.com/faultline/faultline/framework/machine/gdb"
)

// place puts instructions around RIP, with one-byte instructions before them.
func place(before, after string) []byte {
	code := make([]byte, Behind+Ahead)
	for i := range code {
		code[i] = 0x90
	}
	copy(code[Behind-len(before):], before)
	copy(code[Behind:], after)
	return code
}

func TestBefore(t *testing.T) {
	const at = 0x7000
	const ip = 0x1000
	for name, c := range map[string]struct {
		before, after string // machine code
		regs, want    gdb.Registers
	}{
		"movzbl (%rsi),%rdx": {"\x48\x0f\xb6\x16", "\xc3", gdb.Registers{RSI: at, RDX: 9}, gdb.Registers{RSI: at, RDX: 9, RIP: ip - 4}},
		"mov 8(%rdi,%rcx,4),%eax": {"\x8b\x44\x8f\x08", "\xc3",
			gdb.Registers{RDI: at - 0x18, RCX: 4}, gdb.Registers{RDI: at - 0x18, RCX: 4, RIP: ip - 4}},
		"a wide load that begins before the byte": {"\x48\x8b\x06", "\x90", gdb.Registers{RSI: at - 7}, gdb.Registers{RSI: at - 7, RIP: ip - 3}},
		"cmp %rax,(%rdi)":                         {"\x48\x39\x07", "\x90", gdb.Registers{RDI: at}, gdb.Registers{RDI: at, RIP: ip - 3}},
		// The base is overwritten, and the byte is at the start of a page.
		"mov (%rdx),%edx": {"\x8b\x12", "\x0f\x01\xca", gdb.Registers{RDX: 7}, gdb.Registers{RDX: at, RIP: ip - 2}},
		"mov 8(%rdx,%rcx,4),%rdx": {"\x48\x8b\x54\x8a\x08", "\xc3",
			gdb.Registers{RDX: 7, RCX: 4}, gdb.Registers{RDX: at - 0x18, RCX: 4, RIP: ip - 5}},
		// With RCX left, RIP is at the instruction: QEMU before 10.
		"one round of rep movsb": {"\x48\x89\xd1", "\xf3\xa4",
			gdb.Registers{RSI: at + 1, RDI: 0x9001, RCX: 4095}, gdb.Registers{RSI: at, RDI: 0x9000, RCX: 4096, RIP: ip}},
		"one round of rep movsq": {"\x48\x89\xd1", "\xf3\x48\xa5",
			gdb.Registers{RSI: at + 4, RDI: 0x9008, RCX: 1}, gdb.Registers{RSI: at - 4, RDI: 0x9000, RCX: 2, RIP: ip}},
		"the last round": {"\xf3\xa4", "\xc3",
			gdb.Registers{RSI: at + 1, RDI: 0x9001}, gdb.Registers{RSI: at, RDI: 0x9000, RCX: 1, RIP: ip - 2}},
		// QEMU before 10 tests RCX again when it is 0.
		"the last round, not ended": {"\x89\xd1", "\xf3\xa4",
			gdb.Registers{RSI: at + 1, RDI: 0x9001}, gdb.Registers{RSI: at, RDI: 0x9000, RCX: 1, RIP: ip}},
		// All iterations have completed: QEMU 10 and later.
		"a whole rep movsb": {"\xf3\xa4", "\xc3",
			gdb.Registers{RSI: at + 4096, RDI: 0xa000}, gdb.Registers{RSI: at, RDI: 0x9000, RCX: 4096, RIP: ip - 2}},
		"a whole rep movsq": {"\xf3\x48\xa5", "\xc3",
			gdb.Registers{RSI: at + 4, RDI: 0x9008}, gdb.Registers{RSI: at - 4, RDI: 0x9000, RCX: 1, RIP: ip - 3}},
		// The completed instruction read elsewhere, or wrote.
		"a load before rep movsb": {"\x48\x8b\x06", "\xf3\xa4",
			gdb.Registers{RSI: at, RCX: 7}, gdb.Registers{RSI: at, RCX: 7, RIP: ip - 3}},
		"a round of rep movsb after a store": {"\x48\x89\x46\xfc", "\xf3\xa4",
			gdb.Registers{RSI: at + 1, RDI: 0x9001, RCX: 7}, gdb.Registers{RSI: at, RDI: 0x9000, RCX: 8, RIP: ip}},
		"a round of rep movsb after rep movsq": {"\xf3\x48\xa5", "\xf3\xa4",
			gdb.Registers{RSI: at + 1, RDI: 0x9001, RCX: 7}, gdb.Registers{RSI: at, RDI: 0x9000, RCX: 8, RIP: ip}},
		"rep lodsl": {"\xf3\xad", "\xc3", gdb.Registers{RSI: at + 8, RDI: 5}, gdb.Registers{RSI: at, RDI: 5, RCX: 2, RIP: ip - 2}},
		"movsb":     {"\xa4", "\xc3", gdb.Registers{RSI: at + 1, RDI: 0x9001, RCX: 7}, gdb.Registers{RSI: at, RDI: 0x9000, RCX: 7, RIP: ip - 1}},
	} {
		c.regs.RIP = ip
		got, err := Before(place(c.before, c.after), c.regs, at, 1)
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, error %v; want %+v", name, got, err, c.want)
		}
	}
}

// Unknown registers are an error, not a guess.
func TestUnknown(t *testing.T) {
	const at = 0x7000
	for name, c := range map[string]struct {
		before, after string
		regs          gdb.Registers
	}{
		"an access elsewhere":          {"\x48\x8b\x06", "\x90", gdb.Registers{RSI: at + 8}},
		"the index is overwritten":     {"\x48\x8b\x34\x37", "\x90", gdb.Registers{RSI: at}},
		"the base, with GS":            {"\x65\x48\x8b\x36", "\x90", gdb.Registers{RSI: at}},
		"a store":                      {"\x48\x89\x06", "\x90", gdb.Registers{RSI: at}},
		"an addition to memory":        {"\x48\x01\x06", "\x90", gdb.Registers{RSI: at}},
		"a load by GS":                 {"\x65\x48\x8b\x06", "\x90", gdb.Registers{RSI: at}},
		"rep movsb downwards":          {"\xf3\xa4", "\xc3", gdb.Registers{RSI: at + 1, Flags: directionFlag}},
		"rep movsb that did not reach": {"\xf3\xa4", "\xc3", gdb.Registers{RSI: at}},
		"rep stosb":                    {"\xf3\xaa", "\xc3", gdb.Registers{RSI: at + 1, RDI: at + 1}},
		// Either may have read it.
		"lodsb before rep movsb":             {"\xac", "\xf3\xa4", gdb.Registers{RSI: at + 1, RCX: 7}},
		"movsq before rep movsb":             {"\x48\xa5", "\xf3\xa4", gdb.Registers{RSI: at + 8, RCX: 7}},
		"mov -4(%rsi),%rax before rep movsb": {"\x48\x8b\x46\xfc", "\xf3\xa4", gdb.Registers{RSI: at + 1, RCX: 7}},
		"add -4(%rsi),%rax before rep movsb": {"\x48\x03\x46\xfc", "\xf3\xa4", gdb.Registers{RSI: at + 1, RCX: 7}},
		"nothing but padding":                {"", "\x90", gdb.Registers{RSI: at}},
	} {
		if got, err := Before(place(c.before, c.after), c.regs, at, 1); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: got %+v, error %v; want ErrUnknown", name, got, err)
		}
	}
	if _, err := Before(nil, gdb.Registers{}, at, 1); !errors.Is(err, ErrUnknown) {
		t.Errorf("without code: got %v, want ErrUnknown", err)
	}
}

func TestReads(t *testing.T) {
	const at = 0x7000
	for name, c := range map[string]struct {
		code string
		rsi  uint64
		want bool
	}{
		"rep movsb at the byte":                     {"\xf3\xa4\x90", at, true},
		"rep movsb before it":                       {"\xf3\xa4\x90", at - 1, false},
		"a load of it":                              {"\x48\x8b\x06", at - 7, true},
		"a load beside it":                          {"\x48\x8b\x06", at + 1, false},
		"a load that overwrites its base":           {"\x48\x8b\x36", at, true},
		"a load elsewhere that overwrites its base": {"\x48\x8b\x36", at + 8, false},
		"a store":                 {"\x48\x89\x06", at, false},
		"no whole instruction":    {"\x48\x8b", at, false},
		"a load relative to RIP":  {"\x48\x8b\x05\xf9\x5f\x00\x00", 0, true},
		"an instruction of RIP's": {"\x48\x8b\x05\xf9\x5f\x01\x00", 0, false},
	} {
		if got := Reads([]byte(c.code), gdb.Registers{RIP: 0x1000, RSI: c.rsi}, at, 1); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// Any bytes can be code.
func FuzzBefore(f *testing.F) {
	f.Add(place("\xf3\xa4", "\xc3"), uint64(0x7001), uint64(0), uint64(0x7000))
	f.Add(place("\x48\x8b\x06", "\xf3\xa4"), uint64(0x7000), uint64(5), uint64(0x7000))
	f.Fuzz(func(t *testing.T, code []byte, rsi, rcx, addr uint64) {
		after := gdb.Registers{RSI: rsi, RCX: rcx, RDI: 0x9000, RIP: 0x1000}
		before, err := Before(code, after, addr, 1)
		if err != nil && !errors.Is(err, ErrUnknown) {
			t.Fatal(err)
		}
		if err == nil && (before.RIP > after.RIP || after.RIP-before.RIP > maxInstruction) {
			t.Errorf("got RIP %#x, want at most one instruction before %#x", before.RIP, after.RIP)
		}
	})
}

func TestWrote(t *testing.T) {
	const at, ip = 0x7000, 0x1000
	for name, c := range map[string]struct {
		before, after string // machine code
		regs          gdb.Registers
		want          uint64 // 0 is unknown
	}{
		"mov %rdx,(%rsi)":                 {"\x48\x89\x16", "\xc3", gdb.Registers{RSI: at}, at + 8},
		"one that begins before the byte": {"\x48\x89\x16", "\xc3", gdb.Registers{RSI: at - 3}, at + 5},
		"movnti %rdx,8(%rsi)":             {"\x48\x0f\xc3\x56\x08", "\xc3", gdb.Registers{RSI: at - 8}, at + 8},
		"movups %xmm0,(%rdi)":             {"\x0f\x11\x07", "\xc3", gdb.Registers{RDI: at}, at + 16},
		"add %rax,(%rdi)":                 {"\x48\x01\x07", "\xc3", gdb.Registers{RDI: at}, at + 8},
		"one round of rep stosq":          {"\x48\x89\xd1", "\xf3\x48\xab", gdb.Registers{RDI: at + 8, RCX: 7}, at + 8},
		"a whole rep stosb":               {"\xf3\xaa", "\xc3", gdb.Registers{RDI: at + 4096}, at + 4096},
		"a whole rep movsb":               {"\xf3\xa4", "\xc3", gdb.Registers{RSI: 0x9000, RDI: at + 64}, at + 64},
		"stosl":                           {"\xab", "\xc3", gdb.Registers{RDI: at + 4, RCX: 9}, at + 4},
		"a store elsewhere":               {"\x48\x89\x16", "\xc3", gdb.Registers{RSI: at + 8}, 0},
		"a store by GS":                   {"\x65\x48\x89\x16", "\xc3", gdb.Registers{RSI: at}, 0},
		"a call":                          {"\xe8\x00\x00\x00\x00", "\xc3", gdb.Registers{RSP: at}, 0},
		"rep stosb downwards":             {"\xf3\xaa", "\xc3", gdb.Registers{RDI: at + 1, Flags: directionFlag}, 0},
		"rep stosb that did not reach":    {"\xf3\xaa", "\xc3", gdb.Registers{RDI: at}, 0},
		"vmovdqu %ymm0,(%rdi)":            {"\xc5\xfe\x7f\x07", "\xc3", gdb.Registers{RDI: at}, at + 32},
		"the last round of rep stosb":     {"\x89\xd1", "\xf3\xaa", gdb.Registers{RDI: at + 1}, at + 1},
		"a stosl that did not reach back": {"\xab", "\xc3", gdb.Registers{RDI: at + 5}, 0},
		// An iteration of rep stosb, or the 8 bytes before it: the written bytes are not
		// known.
		"mov %rax,-4(%rdi) before rep stosb": {"\x48\x89\x47\xfc", "\xf3\xaa", gdb.Registers{RDI: at + 1, RCX: 7}, 0},
		"mov %rax,(%rdi) before rep stosb":   {"\x48\x89\x07", "\xf3\xaa", gdb.Registers{RDI: at, RCX: 7}, at + 8},
		"cmp %rax,-4(%rdi) before rep stosb": {"\x48\x39\x47\xfc", "\xf3\xaa", gdb.Registers{RDI: at + 1, RCX: 7}, at + 1},
	} {
		c.regs.RIP = ip
		_, got, err := Wrote(place(c.before, c.after), c.regs, at)
		if got != c.want || (err != nil) != (c.want == 0) {
			t.Errorf("%s: got %#x, error %v; want %#x", name, got, err, c.want)
		}
	}
	if _, _, err := Wrote(nil, gdb.Registers{}, at); !errors.Is(err, ErrUnknown) {
		t.Errorf("without code: got %v, want ErrUnknown", err)
	}
}

// A write that began before the byte began there.
func TestWroteFrom(t *testing.T) {
	const at = 0x7000
	for name, c := range map[string]struct {
		before, after string
		regs          gdb.Registers
		from          uint64
	}{
		"mov %rdx,(%rsi)":      {"\x48\x89\x16", "\xc3", gdb.Registers{RSI: at - 3}, at - 3},
		"a round of rep stosq": {"\x48\x89\xd1", "\xf3\x48\xab", gdb.Registers{RDI: at + 4, RCX: 7}, at - 4},
		"all of rep stosq":     {"\xf3\x48\xab", "\xc3", gdb.Registers{RDI: at + 0x1004}, at - 4},
		"all of rep movsb":     {"\xf3\xa4", "\xc3", gdb.Registers{RSI: 0x9000, RDI: at + 0x1004}, at},
		"movsq":                {"\x48\xa5", "\xc3", gdb.Registers{RSI: 0x9000, RDI: at + 1, RCX: 4}, at - 7},
	} {
		c.regs.RIP = 0x1000
		if from, end, err := Wrote(place(c.before, c.after), c.regs, at); err != nil || from != c.from {
			t.Errorf("%s: got %#x to %#x, error %v; want it from %#x", name, from, end, err, c.from)
		}
	}
}
