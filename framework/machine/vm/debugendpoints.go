package vm

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"

	"github.com/faultline/faultline/framework/machine/kallsyms"
	"github.com/faultline/faultline/internal/arch"
)

// DebugEndpoints are the ways for a user to inspect a guest. They are accessible from
// this machine only, and closed with the guest.
type DebugEndpoints struct {
	// SSH is a command that opens a shell in the guest, or runs a command that is
	// appended.
	SSH []string
	// QMP is the path of a socket of QEMU's monitor, GDB that of its gdb stub, which
	// stops the guest while a debugger is connected.
	QMP string
	GDB string
	// Symbols is an ELF file with the symbols of the running kernel and its modules.
	Symbols string
}

// Open opens a clone that was made with CloneOptions.Debug for inspection. busybox is a
// static program of the host, which becomes the guest's shell. From then on requests to
// the guest have no limit, because a user may stop it.
func (g *Guest) Open(ctx context.Context, busybox string) (DebugEndpoints, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, callLimit, fmt.Errorf("not open within %v", callLimit))
	defer cancel()
	d, err := g.open(ctx, busybox)
	if err != nil {
		return DebugEndpoints{}, g.guestError(ctx, "open the guest for inspection", err)
	}
	g.visited = true
	return d, nil
}

func (g *Guest) open(ctx context.Context, busybox string) (d DebugEndpoints, err error) {
	if !g.debug {
		return d, errors.New("it was cloned without CloneOptions.Debug")
	}
	c, err := g.SSH(ctx)
	if err != nil {
		return d, err
	}
	defer c.Close()
	if err := c.InstallShell(ctx, busybox); err != nil {
		return d, err
	}
	if d.Symbols, err = g.symbols(ctx, c); err != nil {
		return d, err
	}
	if d.SSH, err = g.sshCommand(ctx); err != nil {
		return d, err
	}
	if d.GDB, err = g.proc.GDB(ctx); err != nil {
		return d, err
	}
	d.QMP = g.proc.DebugSocket()
	return d, nil
}

// shellPath is the path of BusyBox in a guest.
const shellPath = "/bin/busybox"

// InstallShell copies BusyBox into the guest, which has no shell and no tools, and
// creates links for its commands in /bin. busybox is a static program of the host.
func (c *SSHClient) InstallShell(ctx context.Context, busybox string) error {
	if err := c.Put(ctx, busybox, shellPath); err != nil {
		return fmt.Errorf("copy %s into the guest: %w", busybox, err)
	}
	out := limitedOutput{most: outputBytes}
	status, err := c.Exec(ctx, []string{shellPath, "--install", "-s", "/bin"}, Streams{Stdout: &out, Stderr: &out})
	if err == nil && status.Code != 0 {
		err = fmt.Errorf("exit status %d: %s", status.Code, bytes.TrimSpace(out.kept.Bytes()))
	}
	if err != nil {
		return fmt.Errorf("install BusyBox in the guest: %w", err)
	}
	return nil
}

// maxSymbols is the maximum size of /proc/kallsyms in bytes. For a distribution's kernel
// with its modules it is 10 MiB.
const maxSymbols = 64 << 20

// symbols writes the kernel's symbols into a file and returns its path. For a kernel
// without CONFIG_KALLSYMS it returns the kernel's image instead.
func (g *Guest) symbols(ctx context.Context, c *SSHClient) (string, error) {
	a, err := arch.Named(g.spec.Kernel.Arch)
	if err != nil {
		return "", err
	}
	out := limitedOutput{most: maxSymbols}
	status, err := c.Exec(ctx, []string{shellPath, "cat", "/proc/kallsyms"}, Streams{Stdout: &out, Stderr: io.Discard})
	if err != nil {
		return "", err
	}
	if status.Code != 0 {
		return g.spec.Kernel.Image, nil
	}
	if out.more {
		return "", fmt.Errorf("/proc/kallsyms has more than %d bytes", maxSymbols)
	}
	all, err := kallsyms.Parse(&out.kept)
	if err != nil {
		return "", err
	}
	path := filepath.Join(g.dir, "vmlinux.symbols")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	if err := kallsyms.WriteELF(f, a.Machine, all); err != nil {
		f.Close()
		return "", err
	}
	return path, f.Close()
}

// sshCommand writes the guest's keys into files and returns the ssh(1) command that uses
// them, without the user's configuration.
func (g *Guest) sshCommand(ctx context.Context) ([]string, error) {
	addr, err := g.sshAddress(ctx)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(g.client, "")
	if err != nil {
		return nil, err
	}
	key, known := filepath.Join(g.dir, "ssh.key"), filepath.Join(g.dir, "ssh.known")
	if err := os.WriteFile(key, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	line := fmt.Sprintf("[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(g.hostKey))
	if err := os.WriteFile(known, []byte(line), 0o600); err != nil {
		return nil, err
	}
	return []string{
		"ssh",
		"-F",
		"none",
		"-o",
		"IdentitiesOnly=yes",
		"-o",
		"StrictHostKeyChecking=yes",
		"-o",
		"UserKnownHostsFile=" + known,
		"-i",
		key,
		"-p",
		port,
		"root@" + host,
	}, nil
}
