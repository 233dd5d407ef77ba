package vm

import (
	"io"
	"os"
	"path/filepath"

	"github.com/faultline/faultline/internal/sanitize"
)

// maxConsole is the maximum size of a console file in bytes, because a guest can print
// any amount. The end of the output is also in memory.
const maxConsole = 16 << 20

// consoleFile receives the output of a guest and writes it to a file, escaped so that it
// cannot control a terminal.
type consoleFile struct {
	file *os.File // nil if no file was requested
	text *sanitize.Escaper
}

func newConsoleFile(path string) (*consoleFile, error) {
	if path == "" {
		return &consoleFile{text: sanitize.NewEscaper(io.Discard, 0)}, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, &GuestError{Kind: HostFailed, Doing: "keep the console", Err: err}
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, &GuestError{Kind: HostFailed, Doing: "keep the console", Err: err}
	}
	return &consoleFile{f, sanitize.NewEscaper(f, maxConsole)}, nil
}

// Write implements io.Writer.
func (c *consoleFile) Write(p []byte) (int, error) { return c.text.Write(p) }

// Close closes the file, and removes it if it is empty, as for most clones.
func (c *consoleFile) Close() {
	if c.file == nil {
		return
	}
	c.text.Close()
	if at, err := c.file.Seek(0, io.SeekCurrent); err == nil && at == 0 {
		os.Remove(c.file.Name())
	}
	c.file.Close()
}
