package framework

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"

	"github.com/faultline/faultline/guest/siginfo"
)

func TestOfSignalfd(t *testing.T) {
	b := make([]byte, 128)
	b[0], b[8], b[73], b[80] = siginfo.SIGBUS, siginfo.BusMCEErrAO, 0x40, 12
	in := ofSignalfd(b)
	if in.Signo != siginfo.SIGBUS || in.Code != siginfo.BusMCEErrAO || in.Addr != 0x4000 || in.AddrLSB != 12 || !bytes.Equal(in.Raw[:], b) {
		t.Errorf("got %+v, want SIGBUS, BUS_MCEERR_AO, the address 0x4000, LSB 12 and all bytes", in)
	}
}

// core returns the beginning of a core file with these notes, each a type and a
// description.
func core(notes ...any) []byte {
	var body, file bytes.Buffer
	for i := 0; i < len(notes); i += 2 {
		desc := notes[i+1].([]byte)
		binary.Write(&body, binary.LittleEndian, []uint32{5, uint32(len(desc)), uint32(notes[i].(int))})
		body.WriteString("CORE\x00\x00\x00\x00")
		body.Write(desc)
		body.Write(make([]byte, -len(desc)&3))
	}
	head := elf.Header64{Type: uint16(elf.ET_CORE), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1}
	copy(head.Ident[:], []byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1})
	binary.Write(&file, binary.LittleEndian, head)
	binary.Write(&file, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_NOTE), Off: 120, Filesz: uint64(body.Len())})
	file.Write(body.Bytes())
	return file.Bytes()
}

func TestCoreSiginfo(t *testing.T) {
	const ntPrstatus, ntSiginfo = 1, 0x53494749
	info := make([]byte, siginfo.Size)
	info[0] = siginfo.SIGBUS
	whole := core(ntPrstatus, []byte("registers"), ntSiginfo, info)
	if got, err := coreSiginfo(whole); err != nil || !bytes.Equal(got, info) {
		t.Errorf("got %x, error %v; want %x", got, err, info)
	}
	for name, bad := range map[string][]byte{
		"no ELF file":     []byte("core"),
		"no such note":    core(ntPrstatus, []byte("registers")),
		"a short siginfo": core(ntSiginfo, info[:100]),
		"cut":             whole[:len(whole)-1],
	} {
		if got, err := coreSiginfo(bad); err == nil {
			t.Errorf("%s: got %x, want an error", name, got)
		}
	}
}

func FuzzCoreSiginfo(f *testing.F) {
	f.Add(core(1, []byte("registers"), 0x53494749, make([]byte, siginfo.Size)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := coreSiginfo(b); err == nil && len(got) != siginfo.Size {
			t.Errorf("got %d bytes, want %d", len(got), siginfo.Size)
		}
	})
}
