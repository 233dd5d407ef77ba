package images

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/faultline/faultline/internal/fault"
)

// MissingToolError says that a program this package calls is not installed.
type MissingToolError struct {
	Tool    string // the program, as "mkfs.xfs"
	Package string // the Debian package that has it, as "xfsprogs"
}

// Error names the tool and ends with the one command that installs it.
func (e *MissingToolError) Error() string {
	return fmt.Sprintf("%s is not installed; run as root: %s", e.Tool, e.Command())
}

// Fault implements fault.Kinder.
func (e *MissingToolError) Fault() fault.Kind { return fault.Tool }

// Command is the one command, for root, that installs the tool.
func (e *MissingToolError) Command() string { return "apt-get install " + e.Package }

// systemDirs are missing from the PATH of Debian's users other than root.
var systemDirs = []string{"/usr/local/sbin", "/usr/sbin", "/sbin"}

// findTool returns the path of a program, or a *MissingToolError.
func findTool(name, pkg string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return filepath.Abs(p)
	}
	for _, dir := range systemDirs {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	return "", &MissingToolError{Tool: name, Package: pkg}
}

// runTool runs a program with a fixed environment, in which the caller's
// settings (MKE2FS_SYNC, LANG…) can't change what it makes, and returns what
// it printed on both streams, which an error holds too.
func runTool(ctx context.Context, env []string, tool string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}, env...)
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return out.String(), fmt.Errorf("run %s %s: %w\n%s", tool, strings.Join(args, " "), err, bytes.TrimSpace(out.Bytes()))
	}
	return out.String(), nil
}
