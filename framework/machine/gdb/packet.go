package gdb

import (
	"errors"
	"fmt"
	"strconv"
)

// ErrMalformed says that what came is no packet of the protocol, or not the
// packet that had to come.
var ErrMalformed = errors.New("the gdb stub sent a malformed packet")

// maxPacket bounds a packet that is taken; QEMU's are of 4 KiB at most
// (MAX_PACKET_LENGTH in gdbstub.c), run-length encoding unfolded.
const maxPacket = 64 << 10

// event is what a byte stream from the stub holds.
type event struct {
	kind byte   // '+', '-' or '$'
	data []byte // of a packet, decoded
	bad  bool   // of a packet: its checksum is wrong
}

// frame makes a packet of data.
func frame(data string) []byte {
	sum := byte(0)
	var body []byte
	for i := range len(data) {
		ch := data[i]
		if ch == '$' || ch == '#' || ch == '}' || ch == '*' {
			body = append(body, '}', ch^0x20)
			continue
		}
		body = append(body, ch)
	}
	for _, ch := range body {
		sum += ch
	}
	return fmt.Appendf(nil, "$%s#%02x", body, sum)
}

// next takes the first event out of b. n is how many bytes it took; 0 asks for
// more of them. Bytes between packets that mean nothing are an error, because
// a stub that sends some can't be followed.
func next(b []byte) (e event, n int, err error) {
	if len(b) == 0 {
		return event{}, 0, nil
	}
	switch b[0] {
	case '+', '-':
		return event{kind: b[0]}, 1, nil
	case '$':
	default:
		return event{}, 0, fmt.Errorf("%w: byte %#02x between packets", ErrMalformed, b[0])
	}
	sum := byte(0)
	for i := 1; i < len(b); i++ {
		if b[i] != '#' {
			sum += b[i]
			if i > maxPacket {
				return event{}, 0, fmt.Errorf("%w: more than %d bytes", ErrMalformed, maxPacket)
			}
			continue
		}
		if len(b) < i+3 {
			return event{}, 0, nil
		}
		want, err := strconv.ParseUint(string(b[i+1:i+3]), 16, 8)
		if err != nil || byte(want) != sum {
			return event{kind: '$', bad: true}, i + 3, nil
		}
		data, err := unfold(b[1:i])
		return event{kind: '$', data: data}, i + 3, err
	}
	if len(b) > maxPacket {
		return event{}, 0, fmt.Errorf("%w: more than %d bytes", ErrMalformed, maxPacket)
	}
	return event{}, 0, nil
}

// unfold undoes escapes ("}x") and run lengths ("a*n": n-29 more of a).
func unfold(b []byte) ([]byte, error) {
	var out []byte
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '}':
			if i++; i == len(b) {
				return nil, fmt.Errorf("%w: it ends in an escape: %.60q", ErrMalformed, b)
			}
			out = append(out, b[i]^0x20)
		case '*':
			i++
			if len(out) == 0 || i == len(b) || b[i] < 29+3 || b[i] > 126 {
				return nil, fmt.Errorf("%w: a run length out of place: %.60q", ErrMalformed, b)
			}
			last := out[len(out)-1]
			for range int(b[i]) - 29 {
				out = append(out, last)
			}
			if len(out) > maxPacket {
				return nil, fmt.Errorf("%w: more than %d bytes", ErrMalformed, maxPacket)
			}
		default:
			out = append(out, b[i])
		}
	}
	return out, nil
}
