package qemu

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/faultline/faultline/internal/arch"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/execx"
)

// The oldest QEMU that Faultline was made for: it has the machine and emulates
// every feature of the processor that arch.AMD64 names.
const minMajor, minMinor = 7, 2

// Binary is an installed QEMU.
type Binary struct {
	Path    string
	Version string // "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"
	// Sandboxed says that it can forbid itself what a guest needs not (seccomp).
	Sandboxed bool
	// User is who it is run as; nil is who we are, where we are not root, or it
	// can't be run as nobody.
	User *syscall.Credential
}

// sandbox has QEMU forbid itself, before the guest runs, what no guest needs: to
// start programs, to get more rights, to change what other processes get of the
// machine, and system calls that nobody uses any more (qemu(1)).
var sandbox = []string{"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"}

// environment is all of the environment that QEMU gets: what the caller has set (QEMU_*,
// G_*, LD_PRELOAD, LD_LIBRARY_PATH) would change guests, and no key of the cache has it.
var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "TZ=UTC"}

// MissingError says that this machine has no usable QEMU. It is the machine's
// trouble that a person must mend before a request makes sense.
type MissingError struct {
	Reason  string
	Package string // Debian's, that has it
}

func (e *MissingError) Error() string {
	return e.Reason + "; install it with: apt-get install --no-install-recommends " + e.Package
}

// ErrKind implements errkind.Kinder.
func (e *MissingError) ErrKind() errkind.Kind { return errkind.Tool }

// Find looks for the QEMU that runs guests of the architecture of that name (GOARCH).
func Find(ctx context.Context, name string) (Binary, error) { return find(ctx, name, versionLimit) }

// versionLimit bounds what takes QEMU a moment, on a machine that is busy.
const versionLimit = 30 * time.Second

func find(ctx context.Context, name string, limit time.Duration) (Binary, error) {
	a, err := arch.Named(name)
	if err != nil {
		return Binary{}, err
	}
	if a.NoGuests != "" {
		return Binary{}, errkind.Requestf("no guests of %s run yet: %s; run Faultline on %s", a.Name, a.NoGuests, arch.AMD64.Name)
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
		// One that was built without seccomp refuses the sandbox. One that lies in a
		// folder of root's can't be started by others.
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

var versionLine = regexp.MustCompile(`version ((\d+)\.(\d+)\S*( \([^)]*\))?)`)

// parseVersion reads what qemu --version prints, and refuses one that is too old.
func parseVersion(out string) (string, error) {
	m := versionLine.FindStringSubmatch(out)
	if m == nil {
		return "", errors.New("it does not tell its version")
	}
	major, _ := strconv.Atoi(m[2])
	minor, _ := strconv.Atoi(m[3])
	if major < minMajor || major == minMajor && minor < minMinor {
		return "", fmt.Errorf("QEMU %s is too old, %d.%d or newer is needed", m[1], minMajor, minMinor)
	}
	return m[1], nil
}
