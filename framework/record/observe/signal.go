package observe

import (
	"encoding/hex"
	"fmt"

	"github.com/faultline/faultline/guest/siginfo"
)

// Signal is a delivered signal's payload.
type Signal struct {
	Signo int32  `json:"signo"`
	Name  string `json:"name"` // "SIGBUS"
	Code  int32  `json:"code"`
	// CodeName is "BUS_MCEERR_AR", or "si_code N" for one without a name.
	CodeName string `json:"code_name"`
	// Addr is si_addr in canonical form: mapping+0xoffset, or 0x… if it is in no mapping
	// of the scenario.
	Addr string `json:"addr"`
	// LSB is si_addr_lsb; 0 for payloads without it.
	LSB int16 `json:"lsb"`
	// Thread is the role of the receiving thread, if the scenario has more than one.
	Thread string `json:"thread,omitempty"`
	// Is32 is set for the payload of a 32-bit process, whose layout differs.
	Is32 bool `json:"is_32,omitempty"`
	// Raw is the whole siginfo_t, 128 bytes in hexadecimal.
	Raw string `json:"raw"`
}

// NewSignal returns the Signal of a decoded payload; addr is its canonical address.
func NewSignal(in siginfo.Info, addr string) Signal {
	return Signal{
		Signo: in.Signo, Name: siginfo.SignalName(in.Signo),
		Code: in.Code, CodeName: siginfo.CodeName(in.Signo, in.Code),
		Addr: addr, LSB: in.AddrLSB, Is32: in.Is32, Raw: hex.EncodeToString(in.Raw[:]),
	}
}

// Info decodes the raw payload.
func (s Signal) Info() (siginfo.Info, error) {
	raw, err := hex.DecodeString(s.Raw)
	if err != nil {
		return siginfo.Info{}, err
	}
	if s.Is32 {
		return siginfo.Decode32(raw)
	}
	return siginfo.Decode(raw)
}

// Masked returns the raw payload without the bytes that the other fields have. A payload
// that cannot be decoded is returned as it is.
func (s Signal) Masked() string {
	in, err := s.Info()
	if err != nil {
		return s.Raw
	}
	for _, f := range in.Fields() {
		if f.Name != "si_errno" {
			clear(in.Raw[f.Off:f.End])
		}
	}
	return hex.EncodeToString(in.Raw[:])
}

// Located returns the payload with its address:
// "SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005".
func (s Signal) Located() string { return s.String() + " at " + s.Addr }

// String returns the payload for a table: "SIGBUS BUS_MCEERR_AR lsb=12".
func (s Signal) String() string {
	out := s.Name + " " + s.CodeName
	if s.LSB != 0 {
		out += fmt.Sprintf(" lsb=%d", s.LSB)
	}
	return out
}
