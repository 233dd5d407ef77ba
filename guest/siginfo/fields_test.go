package siginfo

import (
	"encoding/binary"
	"fmt"
	"testing"
)

func TestFields(t *testing.T) {
	raw := make([]byte, Size)
	le := binary.LittleEndian
	le.PutUint32(raw, SIGBUS)
	le.PutUint32(raw[8:], BusMCEErrAR)
	le.PutUint64(raw[16:], 0x7f0000004005)
	le.PutUint16(raw[24:], 12)
	in, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := "[{si_signo int 0 4 7 SIGBUS} {si_errno int 4 8 0 } {si_code int 8 12 4 BUS_MCEERR_AR} {si_addr void * 16 24 0x7f0000004005 } {si_addr_lsb short 24 26 12 4 KiB are lost}]"
	if got := fmt.Sprint(in.Fields()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	clear(raw[12:])
	le.PutUint32(raw[12:], 0x40004005)
	le.PutUint16(raw[16:], 12)
	if narrow, err := Decode32(raw); err != nil || narrow.Addr != 0x40004005 || narrow.AddrLSB != 12 ||
		fmt.Sprint(narrow.Fields()[3:]) != "[{si_addr void * 12 16 0x40004005 } {si_addr_lsb short 16 18 12 4 KiB are lost}]" {
		t.Errorf("32-bit: got %+v, %v, error %v", narrow, narrow.Fields(), err)
	}
	in.Code = BusADRERR
	if got := in.Fields()[4].Means; got != "not carried by this code" {
		t.Errorf("si_addr_lsb of a signal without it: got %q, want not carried by this code", got)
	}
	for lsb, want := range map[int16]string{0: "1 byte is lost", 9: "512 bytes are lost", 21: "2 MiB are lost", 30: "1 GiB are lost", -1: "no size", 62: "no size"} {
		if got := sizeWords(lsb); got != want {
			t.Errorf("lsb %d: got %q, want %q", lsb, got, want)
		}
	}
}
