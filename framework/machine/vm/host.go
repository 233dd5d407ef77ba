package vm

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/execx"
)

// Host is what the guests of one process share: the cache, QEMU, the programs that run in
// guests, and a folder for sockets that is removed when the process ends.
type Host struct {
	Cache *cache.Cache
	QEMU  qemu.Binary

	identity    func() (string, error) // of QEMU; see qemu.Binary.Identity
	init, agent program
	victim32    program
	dir         string
	keeper      io.Closer
	tcg         func() error // see TCG
	programs    *cache.Entry // of those that were built for an installed executable
}

// program is a static binary for guests.
type program struct{ path, digest string }

// NewHost returns a Host for guests of the architecture (GOARCH). The caller must close
// it.
func NewHost(ctx context.Context, c *cache.Cache, arch string) (_ *Host, err error) {
	r := &Host{Cache: c}
	if r.QEMU, err = qemu.Find(ctx, arch); err != nil {
		return nil, err
	}
	r.identity = sync.OnceValues(func() (string, error) { return r.QEMU.Identity(context.WithoutCancel(ctx)) })
	r.tcg = sync.OnceValue(func() error { return r.QEMU.Supports(context.WithoutCancel(ctx), qemu.TCG) })
	if r.dir, err = os.MkdirTemp("", "faultline-"); err != nil {
		return nil, &GuestError{
			Kind:  HostFailed,
			Doing: "make a folder for sockets",
			Err:   err,
			Hint:  "set TMPDIR to a folder that can be written",
		}
	}
	if r.keeper, err = keep(r.dir); err != nil {
		os.RemoveAll(r.dir)
		return nil, err
	}
	if err := r.findPrograms(ctx, arch); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// TCG returns nil if QEMU can run guests under TCG, else the reason.
func (r *Host) TCG() error { return r.tcg() }

// Close removes what the Host made outside the cache. Its guests must be closed.
func (r *Host) Close() error {
	r.programs.Close()
	return r.keeper.Close()
}

// Folder makes a folder that is removed when the process ends.
func (r *Host) Folder(pattern string) (string, error) { return os.MkdirTemp(r.dir, pattern) }

// Programs returns the digests of the programs that run in guests, by name.
func (r *Host) Programs() map[string]string {
	return map[string]string{
		"guest/init": r.init.digest, "guest/agent": r.agent.digest, "guest/victim32": r.victim32.digest,
	}
}

// Victim32 returns the path of the program of 32-bit victims.
func (r *Host) Victim32() string { return r.victim32.path }

// keeper removes a folder when this process ends, for any reason.
type keeper struct {
	stdin io.Closer
	cmd   *exec.Cmd
}

// keep starts a shell that waits for the end of its input, which occurs when this process
// closes it or ends, and then removes dir. The shell has a session of its own, so that
// Ctrl-C does not reach it.
func keep(dir string) (io.Closer, error) {
	cmd := execx.Prepare("/bin/sh", "-c", `read -r _; rm -rf -- "$1"`, "faultline-keeper", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the keeper of %s: %w", dir, err)
	}
	return &keeper{stdin: stdin, cmd: cmd}, nil
}

func (k *keeper) Close() error {
	k.stdin.Close()
	return k.cmd.Wait()
}
