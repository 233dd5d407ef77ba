package siginfo

import (
	"fmt"
	"strconv"
)

// Field is a field of siginfo_t: its location, value and meaning.
type Field struct {
	Name     string // "si_code"
	Type     string // as C declares it: "int"
	Off, End int    // its bytes: [Off, End)
	Value    string // as the kernel filled it
	Means    string // what Value means; may be empty
}

// Fields returns the fields of a fault signal in order of offset. The kernel clears
// the bytes between them.
func (in Info) Fields() []Field {
	lsb := "not carried by this code"
	if in.HasLSB() {
		lsb = sizeWords(in.AddrLSB)
	}
	addr, addrEnd, atLSB := offAddr, offAddr+8, offLSB
	if in.Is32 {
		addr, addrEnd, atLSB = offAddr32, offAddr32+4, offLSB32
	}
	return []Field{
		{"si_signo", "int", offSigno, offSigno + 4, strconv.Itoa(int(in.Signo)), SignalName(in.Signo)},
		{"si_errno", "int", offErrno, offErrno + 4, strconv.Itoa(int(in.Errno)), ""},
		{"si_code", "int", offCode, offCode + 4, strconv.Itoa(int(in.Code)), CodeName(in.Signo, in.Code)},
		{"si_addr", "void *", addr, addrEnd, fmt.Sprintf("%#x", in.Addr), ""},
		{"si_addr_lsb", "short", atLSB, atLSB + 2, strconv.Itoa(int(in.AddrLSB)), lsb},
	}
}

// sizeWords describes the size of the lost memory that si_addr_lsb reports.
func sizeWords(lsb int16) string {
	if lsb == 0 {
		return "1 byte is lost"
	}
	for _, unit := range []struct {
		shift int16
		name  string
	}{{30, "GiB"}, {20, "MiB"}, {10, "KiB"}, {0, "bytes"}} {
		if lsb >= unit.shift && lsb < unit.shift+32 {
			return fmt.Sprintf("%d %s are lost", int64(1)<<(lsb-unit.shift), unit.name)
		}
	}
	return "no size"
}
