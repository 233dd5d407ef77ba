package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// MaxLine bounds a message on the wire: MaxData bytes in hexadecimal, and room for
// the rest of the message.
const MaxLine = 2*MaxData + 1<<18

// ErrTooLong is a line longer than MaxLine.
var ErrTooLong = fmt.Errorf("message is longer than %d bytes", MaxLine)

// Encode makes m the line that goes on the wire, with its newline. Encode and
// Decode are the only places that know how a message is written.
func Encode[M Request | Reply](m *M) ([]byte, error) {
	w := words{line: make([]byte, 0, 256)}
	switch m := any(m).(type) {
	case *Request:
		m.words(&w)
	case *Reply:
		m.words(&w)
	}
	if len(w.line) >= MaxLine {
		return nil, fmt.Errorf("encode %T: %w", *m, ErrTooLong)
	}
	w.line[len(w.line)-1] = '\n' // each word ends with a space
	return w.line, nil
}

// Decode reads one line, with or without its newline, into a zero m. Anything that
// this build would not have written is an error: both ends come from one build.
func Decode[M Request | Reply](line []byte, m *M) error {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	w := words{reading: true, line: line}
	switch m := any(m).(type) {
	case *Request:
		m.words(&w)
	case *Reply:
		m.words(&w)
	}
	if w.err != nil {
		return fmt.Errorf("decode %T: %w", *m, w.err)
	}
	return nil
}

// Op names the operation of a request, as it does on the wire. None, or more
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

// More says that bytes were read which no Line has returned yet.
func (r *Reader) More() bool { return r.r.Buffered() > 0 }

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
