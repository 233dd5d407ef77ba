package siginfo

import (
	"encoding/binary"
	"testing"
)

// raw encodes the siginfo_t of a fault.
func raw(signo, code int32, addr uint64, lsb int16) []byte {
	b := make([]byte, Size)
	binary.LittleEndian.PutUint32(b[0:], uint32(signo))
	binary.LittleEndian.PutUint32(b[8:], uint32(code))
	binary.LittleEndian.PutUint64(b[16:], addr)
	binary.LittleEndian.PutUint16(b[24:], uint16(lsb))
	return b
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		raw    []byte
		text   string
		hasLSB bool
	}{
		{raw(SIGBUS, BusADRERR, 0x100000000018, 0), "SIGBUS BUS_ADRERR", false},
		{raw(SIGBUS, BusMCEErrAR, 0x100000000018, 12), "SIGBUS BUS_MCEERR_AR lsb=12", true},
		{raw(SIGBUS, BusMCEErrAO, 0x200000, 21), "SIGBUS BUS_MCEERR_AO lsb=21", true},
		{raw(SIGBUS, BusMCEErrAR, 0, 0), "SIGBUS BUS_MCEERR_AR lsb=0", true},
		{raw(SIGBUS, TKill, 0, 0), "SIGBUS SI_TKILL", false},
		{raw(SIGSEGV, 1, 0xdead, 0), "SIGSEGV SEGV_MAPERR", false},
		{raw(SIGSEGV, Kernel, 0, 0), "SIGSEGV SI_KERNEL", false},
		{raw(10, 99, 0, 0), "signal 10 si_code 99", false},
		// An unexpected si_addr_lsb must be visible.
		{raw(SIGBUS, BusADRERR, 0, 12), "SIGBUS BUS_ADRERR lsb=12", false},
	} {
		in, err := Decode(c.raw)
		if err != nil {
			t.Fatal(err)
		}
		if in.String() != c.text || in.HasLSB() != c.hasLSB {
			t.Errorf("got %q, HasLSB %v; want %q, %v", in, in.HasLSB(), c.text, c.hasLSB)
		}
		if want := binary.LittleEndian.Uint64(c.raw[16:]); in.Addr != want {
			t.Errorf("%s: got address %#x, want %#x", c.text, in.Addr, want)
		}
		if string(in.Raw[:]) != string(c.raw) {
			t.Errorf("%s: raw bytes differ from the input", c.text)
		}
	}
}

func TestDecodeShort(t *testing.T) {
	for _, n := range []int{0, 1, Size - 1} {
		if in, err := Decode(make([]byte, n)); err == nil {
			t.Errorf("%d bytes: got %v, want an error", n, in)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(raw(SIGBUS, BusMCEErrAR, 0x1000, 12))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := Decode(b)
		if (err != nil) != (len(b) < Size) {
			t.Fatalf("%d bytes: got error %v, want one exactly below %d bytes", len(b), err, Size)
		}
		if err == nil && (string(in.Raw[:]) != string(b[:Size]) || in.String() == "") {
			t.Fatalf("got %v, want the same raw bytes, and a text", in)
		}
	})
}
