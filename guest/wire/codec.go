package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxLine bounds a message on the wire: MaxData bytes in base64, and room for
// the rest of the message.
const MaxLine = MaxData/3*4 + 1<<18

// ErrTooLong is a line longer than MaxLine.
var ErrTooLong = fmt.Errorf("message is longer than %d bytes", MaxLine)

// Encode makes m the line that goes on the wire, with its newline. Encode and
// Decode are the only places that know how a message is written.
func Encode[M Request | Reply](m *M) ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", *m, err)
	}
	if len(b) >= MaxLine {
		return nil, fmt.Errorf("encode %T: %w", *m, ErrTooLong)
	}
	return append(b, '\n'), nil
}

// Decode reads one line, with or without its newline, into a zero m. A field
// that this build does not know is an error: both ends come from one build.
func Decode[M Request | Reply](line []byte, m *M) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return fmt.Errorf("decode %T: %w", *m, err)
	}
	if rest := line[d.InputOffset():]; len(bytes.TrimSpace(rest)) != 0 {
		return fmt.Errorf("decode %T: %d bytes behind the message", *m, len(rest))
	}
	return nil
}

// Op names the operation of a request, as its JSON field does. None, or more
// than one, is an error.
func (r *Request) Op() (string, error) {
	name, n := "", 0
	for _, op := range [...]struct {
		name string
		set  bool
	}{
		{"hello", r.Hello != nil}, {"spawn", r.Spawn != nil}, {"wait", r.Wait != nil},
		{"read_file", r.ReadFile != nil}, {"write_file", r.WriteFile != nil}, {"make_file", r.MakeFile != nil},
		{"pmem", r.Pmem != nil}, {"dm", r.DM != nil}, {"kernel_log", r.KernelLog != nil},
		{"map", r.Map != nil}, {"access", r.Access != nil}, {"fork", r.Fork != nil}, {"syscall", r.Syscall != nil},
	} {
		if op.set {
			name = op.name
			n++
		}
	}
	if n != 1 {
		return "", fmt.Errorf("request %d has %d operations, want one", r.ID, n)
	}
	return name, nil
}

// Reader cuts what it reads into lines of at most MaxLine bytes.
type Reader struct{ r *bufio.Reader }

// NewReader reads lines from r.
func NewReader(r io.Reader) *Reader { return &Reader{bufio.NewReaderSize(r, 64<<10)} }

// Line is the next line, newline included; its bytes are the caller's. At the
// end, io.EOF comes alone; in the middle of a line, io.ErrUnexpectedEOF.
func (r *Reader) Line() ([]byte, error) {
	var line []byte
	for {
		part, err := r.r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > MaxLine:
			return nil, ErrTooLong
		case err == nil:
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}
