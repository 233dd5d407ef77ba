package gdb

import (
	"errors"
	"fmt"
	"strconv"
)

// ErrMalformed is returned for data that is not a packet of the protocol, or not the
// expected packet.
var ErrMalformed = errors.New("the gdb stub sent a malformed packet")

// maxPacket is the maximum size of a packet in bytes. QEMU's have at most 4 KiB
// (MAX_PACKET_LENGTH in gdbstub.c), with run-length encoding decoded.
const maxPacket = 64 << 10

// event is an element of the byte stream from the stub.
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

// next returns the first event in b and its length n, or 0 if more bytes are needed.
// Unknown bytes between packets are an error, because the position in the stream is then
// unknown.
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

// unfold decodes escapes ("}x") and run lengths ("a*n": n-29 more of a).
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
