package qemu

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/faultline/faultline/internal/arch"
	"github.com/faultline/faultline/internal/distro"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/execx"
)

// The oldest supported QEMU: it has the machine, and emulates every feature of the CPU
// that arch.AMD64 names.
const minMajor, minMinor = 7, 2

// Binary is an installed QEMU.
type Binary struct {
	Path    string
	Version string // "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"
	// Sandboxed is set if QEMU supports -sandbox (seccomp).
	Sandboxed bool
	// User is the user that QEMU runs as; nil is the current user, if that is not root or
	// QEMU cannot run as nobody.
	User *syscall.Credential
}

// sandbox makes QEMU deny itself, before the guest runs, what no guest needs: starting
// programs, elevating privileges, changing the resources of processes, and obsolete
// system calls (qemu(1)).
var sandbox = []string{"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"}

// environment is QEMU's whole environment: variables of the caller (QEMU_*, G_*,
// LD_PRELOAD, LD_LIBRARY_PATH) would change guests and are not part of cache keys.
var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "TZ=UTC"}

// MissingError reports that this machine has no usable QEMU. The user must install one.
type MissingError struct {
	Reason  string
	Package string // the Debian package that contains it
}

func (e *MissingError) Error() string {
	return e.Reason + "; install it with: " + distro.Here().Install(e.Package)
}

// ErrKind implements errkind.Kinder.
func (e *MissingError) ErrKind() errkind.Kind { return errkind.Tool }

// Find returns the installed QEMU for guests of the architecture of that name (GOARCH).
func Find(ctx context.Context, name string) (Binary, error) { return find(ctx, name, versionLimit) }

// versionLimit limits short runs of QEMU; it allows for a busy machine.
const versionLimit = 30 * time.Second

func find(ctx context.Context, name string, limit time.Duration) (Binary, error) {
	a, err := arch.Named(name)
	if err != nil {
		return Binary{}, err
	}
	if a.NoGuests != "" {
		return Binary{}, errkind.Requestf(
			"guests of %s are not supported: %s; run Faultline on %s",
			a.Name,
			a.NoGuests,
			arch.AMD64.Name,
		)
	}
	path, err := exec.LookPath(a.QEMU.Binary)
	if err != nil {
		return Binary{}, &MissingError{Reason: "no " + a.QEMU.Binary + " in PATH", Package: a.QEMU.Package}
	}
	bin := Binary{Path: path, Sandboxed: true, User: nobody()}
	var out []byte
	for {
		args := []string{"--version"}
		if bin.Sandboxed {
			args = append(sandbox[:2:2], args...)
		}
		out, err = execx.AskAs(ctx, bin.User, environment, limit, path, args...)
		if refused := (*execx.RunError)(nil); !errors.As(err, &refused) {
			break
		}
		// A QEMU without seccomp does not accept -sandbox. A QEMU in a private folder of
		// root cannot be started by other users.
		if bin.Sandboxed {
			bin.Sandboxed = false
		} else if bin.User != nil {
			bin.Sandboxed, bin.User = true, nil
		} else {
			break
		}
	}
	if ctx.Err() != nil {
		return Binary{}, context.Cause(ctx)
	}
	if err != nil {
		return Binary{}, &MissingError{Reason: fmt.Sprintf("%s --version: %v", path, err), Package: a.QEMU.Package}
	}
	if bin.Version, err = parseVersion(string(out)); err != nil {
		return Binary{}, &MissingError{Reason: fmt.Sprintf("%s: %v", path, err), Package: a.QEMU.Package}
	}
	return bin, nil
}

// Supports returns nil if QEMU has an accelerator, built in or as a module, and otherwise the
// reason to report. A QEMU that does not answer is taken to have it.
func (b Binary) Supports(ctx context.Context, a Accel) error {
	args := []string{"-accel", "help"}
	if b.Sandboxed {
		args = append(sandbox[:2:2], args...)
	}
	list, err := execx.AskAs(ctx, b.User, environment, versionLimit, b.Path, args...)
	if err != nil || slices.Contains(strings.Fields(string(list)), string(a)) {
		return nil
	}
	return fmt.Errorf("QEMU %s has no accelerator %s", b.Version, a)
}

var versionLine = regexp.MustCompile(`version ((\d+)\.(\d+)\S*( \([^)]*\))?)`)

// parseVersion parses the output of qemu --version. A version that is too old is an
// error.
func parseVersion(out string) (string, error) {
	m := versionLine.FindStringSubmatch(out)
	if m == nil {
		return "", errors.New("no version in its output")
	}
	major, _ := strconv.Atoi(m[2])
	minor, _ := strconv.Atoi(m[3])
	if major < minMajor || major == minMajor && minor < minMinor {
		return "", fmt.Errorf("QEMU %s is too old, %d.%d or newer is needed", m[1], minMajor, minMinor)
	}
	return m[1], nil
}
