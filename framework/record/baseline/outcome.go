package baseline

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/faultline/faultline/framework/record/observe"
)

// outcome is an observe.Outcome as text: its signals in order, such as
// "SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005", then its other fields, such as
// "errno=EIO"; and, if the step depends on a change, the side of it, without which a
// difference could not be explained. In a file, an outcome of one part is a string.
type outcome []string

// MarshalJSON implements json.Marshaler.
func (words outcome) MarshalJSON() ([]byte, error) {
	if len(words) == 1 {
		return line(words[0])
	}
	return line([]string(words))
}

// UnmarshalJSON implements json.Unmarshaler.
func (words *outcome) UnmarshalJSON(text []byte) error {
	var one string
	if err := json.Unmarshal(text, &one); err == nil {
		*words = outcome{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(words))
}

// Keys of the fields other than signals.
const (
	keyRet    = "ret="
	keyErrno  = "errno="
	keyData   = "data="
	keyDigest = "digest="
	keyExit   = "exit="
	keyKilled = "killed="
	keyNote   = "note="
	keySide   = "side="
)

// dumped is the suffix for a process that dumped core.
const dumped = " (core)"

func newOutcome(step observe.Step) outcome {
	var out outcome
	o := step.Outcome
	for _, s := range o.Signals {
		words := s.Located()
		if s.Thread != "" {
			words += " in " + s.Thread
		}
		if r := rest(s); r != "" {
			words += " rest=" + r
		}
		out = append(out, words)
	}
	add := func(key, value string) {
		if value != "" {
			out = append(out, key+value)
		}
	}
	if o.Ret != nil {
		add(keyRet, strconv.FormatInt(*o.Ret, 10))
	}
	add(keyErrno, o.Errno)
	add(keyData, o.Data)
	add(keyDigest, o.Digest)
	switch e := o.Exit; {
	case e == nil:
	case e.Signal != "" && e.Core:
		add(keyKilled, e.Signal+dumped)
	case e.Signal != "":
		add(keyKilled, e.Signal)
	default:
		add(keyExit, strconv.Itoa(e.Code))
	}
	add(keyNote, o.Note)
	if e := step.Expected; e != nil && e.Change != "" && e.Side != observe.Both {
		add(keySide, string(e.Side))
	}
	return out
}

// payload matches a signal as text.
var payload = regexp.MustCompile(
	`^(SIG[A-Z0-9]+|signal -?\d+) (si_code -?\d+|\S+)(?: lsb=(-?\d+))? at (.+?)(?: in (\S+))?(?: rest=([0-9a-f]+))?$`,
)

func (words outcome) step() (observe.Step, error) {
	var step observe.Step
	o := &step.Outcome
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key + "=" {
		case keyRet:
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return step, fmt.Errorf("%q: %w", w, err)
			}
			o.Ret = &n
		case keyErrno:
			o.Errno = value
		case keyData:
			o.Data = value
		case keyDigest:
			o.Digest = value
		case keyExit:
			n, err := strconv.Atoi(value)
			if err != nil {
				return step, fmt.Errorf("%q: %w", w, err)
			}
			o.Exit = &observe.Exit{Code: n}
		case keyKilled:
			signal, core := strings.CutSuffix(value, dumped)
			o.Exit = &observe.Exit{Code: -1, Signal: signal, Core: core}
		case keyNote:
			o.Note = value
		case keySide:
			step.Expected = &observe.Expectation{Side: observe.Side(value)}
		default:
			m := payload.FindStringSubmatch(w)
			if m == nil {
				return step, fmt.Errorf("%q is neither a signal nor a part of an outcome", w)
			}
			s := observe.Signal{Name: m[1], CodeName: m[2], Addr: m[4], Thread: m[5], Raw: m[6]}
			if m[3] != "" {
				n, err := strconv.ParseInt(m[3], 10, 16)
				if err != nil {
					return step, fmt.Errorf("%q: %w", w, err)
				}
				s.LSB = int16(n)
			}
			o.Signals = append(o.Signals, s)
		}
	}
	return step, nil
}

// rest returns a digest of a payload's raw bytes without those that the text has; it is
// empty if the other bytes are zero, as nearly always.
func rest(s observe.Signal) string {
	raw, err := hex.DecodeString(s.Masked())
	if err != nil {
		return ""
	}
	for _, c := range raw {
		if c != 0 {
			sum := sha256.Sum256(raw)
			return hex.EncodeToString(sum[:4])
		}
	}
	return ""
}
