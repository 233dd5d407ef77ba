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

// DebugEndpoints are the ways for a person into a guest. They lead from this machine only,
// and are closed with the guest.
type DebugEndpoints struct {
	// SSH is a command that opens a shell in the guest; a command behind it runs there.
	SSH []string
	// QMP is a socket of QEMU's monitor, GDB that of its gdb stub, which stops the
	// guest while somebody is connected to it.
	QMP string
	GDB string
	// Symbols is an ELF file with the running kernel's symbols, its modules' too.
	Symbols string
}

// Open opens a clone that was made with a Door. busybox, a static program of the
// host, is the guest's shell. From then on nothing that is asked of the guest has
// a limit, because a guest that is looked at stands still.
func (g *Guest) Open(ctx context.Context, busybox string) (DebugEndpoints, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, callLimit, fmt.Errorf("not open within %v", callLimit))
	defer cancel()
	d, err := g.open(ctx, busybox)
	if err != nil {
		return DebugEndpoints{}, g.trouble(ctx, "open it for a person", err)
	}
	g.visited = true
	return d, nil
}

func (g *Guest) open(ctx context.Context, busybox string) (d DebugEndpoints, err error) {
	if !g.door {
		return d, errors.New("it was made without a door")
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
	d.QMP = g.proc.Door()
	return d, nil
}

// shellPath is where BusyBox is put in a guest.
const shellPath = "/bin/busybox"

// InstallShell puts BusyBox into the guest, which has no shell and no tools, and
// its names into /bin. busybox is a static program of the host.
func (c *SSHClient) InstallShell(ctx context.Context, busybox string) error {
	if err := c.Put(ctx, busybox, shellPath); err != nil {
		return fmt.Errorf("copy %s into the guest: %w", busybox, err)
	}
	said := firstWords{most: firstWordsBytes}
	status, err := c.Exec(ctx, []string{shellPath, "--install", "-s", "/bin"}, Streams{Stdout: &said, Stderr: &said})
	if err == nil && status.Code != 0 {
		err = fmt.Errorf("exit status %d: %s", status.Code, bytes.TrimSpace(said.said.Bytes()))
	}
	if err != nil {
		return fmt.Errorf("install BusyBox in the guest: %w", err)
	}
	return nil
}

// maxSymbols bounds what a guest tells of its symbols, in bytes. A distribution's
// kernel with its modules has 10 MiB of them.
const maxSymbols = 64 << 20

// symbols writes the kernel's symbols into a file. A kernel that was built without
// CONFIG_KALLSYMS tells none; then its image stands for them.
func (g *Guest) symbols(ctx context.Context, c *SSHClient) (string, error) {
	a, err := arch.Named(g.spec.Kernel.Arch)
	if err != nil {
		return "", err
	}
	told := firstWords{most: maxSymbols}
	status, err := c.Exec(ctx, []string{shellPath, "cat", "/proc/kallsyms"}, Streams{Stdout: &told, Stderr: io.Discard})
	if err != nil {
		return "", err
	}
	if status.Code != 0 {
		return g.spec.Kernel.Image, nil
	}
	if told.more {
		return "", fmt.Errorf("/proc/kallsyms has more than %d bytes", maxSymbols)
	}
	all, err := kallsyms.Parse(&told.said)
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

// sshCommand writes the guest's keys where ssh(1) reads them, and is the command
// that uses them. It looks at no configuration of the user's.
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
		"ssh", "-F", "none", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + known,
		"-i", key, "-p", port, "root@" + host,
	}, nil
}
