package generated

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
)

// pattern returns the source of the pattern that a step's outcome matches; ok is false if the
// language has none for it.
func pattern(s observe.Step) (source string, ok bool) {
	o := s.Outcome
	switch {
	case len(o.Signals) == 1 && o.Exit == nil && o.Data == "" && o.Note == "":
		return signal(o.Signals[0], s)
	case len(o.Signals) > 0 || o.Panicked():
		return "", false
	case o.Exit != nil && o.Exit.Signal != "" && o.Exit.Core:
		return fmt.Sprintf("DumpedBy(%q)", o.Exit.Signal), true
	case o.Exit != nil && o.Exit.Signal != "":
		return fmt.Sprintf("KilledBy(%q)", o.Exit.Signal), true
	case o.Exit != nil:
		return "", false
	case o.Hung():
		return "Hangs()", true
	case o.Errno != "":
		return fmt.Sprintf("Errno(%q)", o.Errno), true
	case o.Note != "":
		return fmt.Sprintf("Note(%q)", o.Note), true
	case o.Ret != nil && o.Data == "":
		return fmt.Sprintf("Returns(%d)", *o.Ret), true
	case o.Ret != nil:
		return full(o)
	case len(o.Data) == 2:
		return "Reads(0x" + o.Data + ")", true
	}
	return "OK()", o.Data == ""
}

// full returns the pattern of a read of equal bytes.
func full(o observe.Outcome) (string, bool) {
	b, err := hex.DecodeString(o.Data)
	if err != nil || len(b) == 0 {
		return "", false
	}
	want := observe.Data(bytes.Repeat(b[:1], int(*o.Ret)))
	if want.Data != o.Data || want.Digest != o.Digest {
		return "", false
	}
	return fmt.Sprintf("ReturnsFull(%d, %#02x)", *o.Ret, b[0]), true
}

// signal returns the pattern of a signal. The accessed byte is the end of the action.
func signal(sig observe.Signal, s observe.Step) (string, bool) {
	var details []string
	switch sig.LSB {
	case 0:
	case 12:
		details = append(details, "PageLSB()")
	case 21:
		details = append(details, "HugePageLSB()")
	default:
		details = append(details, fmt.Sprintf("LSB(%d)", sig.LSB))
	}
	_, accessed, access := strings.Cut(s.Action, " ")
	if !access || accessed != sig.Addr {
		where, offset, ok := strings.Cut(sig.Addr, "+0x")
		n, err := strconv.ParseInt(offset, 16, 64)
		switch {
		case sig.Addr == "0x0":
			details = append(details, "Nowhere()")
		case !ok || err != nil || strings.Contains(where, "#"): // another mapping
			return "", false
		default:
			details = append(details, fmt.Sprintf("At(m.At(%#x))", n))
		}
	}
	if s.Outcome.Ret != nil {
		details = append(details, fmt.Sprintf("Returning(%d)", *s.Outcome.Ret))
	}
	if s.Outcome.Errno != "" {
		details = append(details, fmt.Sprintf("Failing(%q)", s.Outcome.Errno))
	}
	switch {
	case sig.Signo == int32(unix.SIGBUS):
		if !strings.HasPrefix(sig.CodeName, "BUS_") {
			return "", false
		}
		return "SIGBUS(" + strings.Join(append([]string{sig.CodeName}, details...), ", ") + ")", true
	case sig.Signo == int32(unix.SIGSEGV) && sig.CodeName == "SEGV_MAPERR" && len(details) == 0:
		return "SIGSEGV()", true
	}
	return "", false
}
