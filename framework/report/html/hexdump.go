package html

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/guest/siginfo"
)

// part is a field of siginfo_t: where it lies and what it says.
type part struct {
	Name  string // "si_code"
	Class string // of its bytes and its line in the page
	From  int
	To    int    // behind its last byte
	Value string // as the kernel filled it
	Means string // in words
}

// parts decodes a payload field by field (include/uapi/asm-generic/siginfo.h,
// 64-bit). It is nil for a payload whose raw bytes aren't there.
func parts(s observe.Signal) (info siginfo.Info, fields []part) {
	raw, err := hex.DecodeString(s.Raw)
	if err != nil {
		return siginfo.Info{}, nil
	}
	in, err := siginfo.Decode(raw)
	if err != nil {
		return siginfo.Info{}, nil
	}
	lsb := part{Name: "si_addr_lsb", Class: "lsb", From: 24, To: 26, Value: strconv.Itoa(int(in.AddrLSB)), Means: "not carried by this code"}
	if in.HasLSB() {
		lsb.Means = lsbWords(in.AddrLSB)
	}
	return in, []part{
		{"si_signo", "signo", 0, 4, strconv.Itoa(int(in.Signo)), siginfo.SignalName(in.Signo)},
		{"si_errno", "errno", 4, 8, strconv.Itoa(int(in.Errno)), ""},
		{"si_code", "code", 8, 12, strconv.Itoa(int(in.Code)), siginfo.CodeName(in.Signo, in.Code)},
		{"si_addr", "addr", 16, 24, fmt.Sprintf("%#x", in.Addr), s.Addr},
		lsb,
	}
}

// lsbWords is the size of what si_addr_lsb says is lost.
func lsbWords(lsb int16) string {
	switch {
	case lsb >= 30 && lsb < 63:
		return fmt.Sprintf("%d GiB", int64(1)<<(lsb-30))
	case lsb >= 20 && lsb < 30:
		return fmt.Sprintf("%d MiB", 1<<(lsb-20))
	case lsb >= 10 && lsb < 20:
		return fmt.Sprintf("%d KiB", 1<<(lsb-10))
	case lsb >= 0 && lsb < 10:
		return matrix.Count(1<<lsb, "byte")
	}
	return "no size"
}

// span is a run of bytes of a hexdump that look the same.
type span struct {
	Class   string // of the field it belongs to; empty outside of all
	Differs bool   // from the payload it is compared with
	Text    string
}

// dumpLine is sixteen bytes of a hexdump.
type dumpLine struct {
	Offset string
	Spans  []span
}

// hexdump shows raw with its fields marked, and with the bytes that differ
// from other (which may be shorter, or nil to compare with nothing).
func hexdump(raw, other []byte, fields []part) []dumpLine {
	const perLine = 16
	var out []dumpLine
	for at := 0; at < len(raw); at += perLine {
		l := dumpLine{Offset: fmt.Sprintf("%02x", at)}
		for i := at; i < min(at+perLine, len(raw)); i++ {
			s := span{Differs: other != nil && (i >= len(other) || other[i] != raw[i])}
			for _, f := range fields {
				if i >= f.From && i < f.To {
					s.Class = f.Class
				}
			}
			s.Text = fmt.Sprintf("%02x", raw[i])
			last := len(l.Spans) - 1
			if last >= 0 && l.Spans[last].Class == s.Class && l.Spans[last].Differs == s.Differs {
				l.Spans[last].Text += " " + s.Text
			} else {
				l.Spans = append(l.Spans, s)
			}
		}
		out = append(out, l)
	}
	return out
}
