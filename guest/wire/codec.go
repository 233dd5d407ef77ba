package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// MaxLine bounds a message on the wire: MaxData bytes in hexadecimal, plus room for
// the rest of the message.
const MaxLine = 2*MaxData + 1<<18

// ErrTooLong is the error for a line longer than MaxLine.
var ErrTooLong = fmt.Errorf("message is longer than %d bytes", MaxLine)

// Encode encodes m as a line, with its newline. Only Encode and Decode know the encoding
// of a message.
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

// Decode decodes one line, with or without its newline, into a zero m. Anything that
// this build would not write is an error: both ends come from one build.
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

// Op returns the name of the request's operation on the wire. It is an error if there is
// none or more than one.
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

// Reader splits its input into lines of at most MaxLine bytes.
type Reader struct{ r *bufio.Reader }

// NewReader returns a Reader that reads from r.
func NewReader(r io.Reader) *Reader { return &Reader{bufio.NewReaderSize(r, 64<<10)} }

// More reports whether bytes were read that Line has not returned yet.
func (r *Reader) More() bool { return r.r.Buffered() > 0 }

// Line returns the next line, including its newline; the caller owns its bytes. The error
// is io.EOF at the end, and io.ErrUnexpectedEOF in the middle of a line.
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
