package vm

import (
	"io"
	"os"
	"path/filepath"

	"github.com/faultline/faultline/internal/sanitize"
)

// maxConsole bounds what is kept of a console on disk, in bytes: what a guest
// prints is as much as it likes. Its end is kept in memory besides.
const maxConsole = 16 << 20

// consoleFile is where all goes that a guest prints, escaped: a file that somebody
// looks at must not steer a terminal.
type consoleFile struct {
	file *os.File // nil: nobody asked for one
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

// Close closes the file, and removes it where nothing was printed, as by most clones.
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
