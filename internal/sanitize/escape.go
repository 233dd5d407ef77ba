package sanitize

import (
	"fmt"
	"io"
)

// Escaper writes bytes to a file as text that controls neither a terminal nor a CI
// system when it is printed, and from which the bytes can be recovered. Printable ASCII
// and tabs are unchanged. A serial line end (CR LF) becomes a newline, a lone newline
// becomes \n and a newline, a backslash \\, every other byte \xNN. The second of two
// colons becomes \x3a, and likewise the other markers that start a command in a CI log.
type Escaper struct {
	to   io.Writer
	most int64 // remaining bytes
	last byte
}

// NewEscaper returns an Escaper that writes at most that many bytes of text to a file.
// It drops the rest without an error, and marks that in the file's last line.
func NewEscaper(to io.Writer, most int64) *Escaper { return &Escaper{to: to, most: most} }

// cut ends a text that exceeds the limit.
const cut = "\n\\ the rest is left out\n"

// Write implements io.Writer.
func (e *Escaper) Write(p []byte) (int, error) {
	if e.most <= 0 {
		return len(p), nil
	}
	out := make([]byte, 0, len(p)+len(p)/8)
	for _, b := range p {
		out = e.escape(out, b)
		e.last = b
	}
	if e.most -= int64(len(out)); e.most <= 0 {
		out = append(out[:int64(len(out))+e.most], cut...)
	}
	if _, err := e.to.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes a pending carriage return. It does not close the file.
func (e *Escaper) Close() error {
	if e.most <= 0 || e.last != '\r' {
		return nil
	}
	e.last = 0
	_, err := io.WriteString(e.to, `\x0d`)
	return err
}

// escape appends the text for a byte. A carriage return stays pending until the next.
func (e *Escaper) escape(out []byte, b byte) []byte {
	if e.last == '\r' {
		if b == '\n' {
			return append(out, '\n')
		}
		out = append(out, `\x0d`...)
	}
	switch {
	case b == '\r':
		return out
	case b == '\n':
		return append(out, "\\n\n"...)
	case b == '\\':
		return append(out, `\\`...)
	case b == e.last && (b == ':' || b == '#'), b == 'L' && e.last == '<', b != '\t' && (b < 0x20 || b > 0x7e):
		return fmt.Appendf(out, `\x%02x`, b)
	}
	return append(out, b)
}
