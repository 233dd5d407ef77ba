// Command init is PID 1 of a guest: it mounts the kernel's file systems, loads
// the modules that the initramfs lists, brings up the network card, serves SSH
// and reaps children. It never touches poisoned memory and knows nothing of
// scenarios; the agent, which the host copies over SSH, does that work.
package main

import (
	"bufio"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/wire"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "faultline init: runs as PID 1 of a guest only")
		os.Exit(2)
	}
	if err := boot(); err != nil {
		giveUp(err)
		unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
	select {}
}

// giveUp reports on the console that the guest can't be used. The host watches the
// console for this line.
func giveUp(err error) {
	fmt.Printf("faultline-init: failed: %v\n", err)
	os.Stdout.Sync()
}

func boot() error {
	if err := mountAll(); err != nil {
		return err
	}
	fmt.Println("faultline-init: user space") // proof that the accelerator runs guests
	os.Setenv("PATH", "/bin:/run")
	os.Setenv("HOME", "/root")
	children := newReaper()
	if err := loadModules("/etc/faultline/modules"); err != nil {
		return err
	}
	args, err := cmdline()
	if err != nil {
		return err
	}
	if err := network(); err != nil {
		return err
	}
	key, err := base64.StdEncoding.DecodeString(args["faultline.key"])
	if err != nil || len(key) == 0 {
		return fmt.Errorf("kernel command line: no usable faultline.key= (%v)", err)
	}
	client, err := ssh.ParsePublicKey(key)
	if err != nil {
		return fmt.Errorf("faultline.key=: %w", err)
	}
	// The host key is generated here and reported over a serial port that only the
	// process that started this guest reads: no secret leaves the guest.
	_, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("make a host key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(priv)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp4", ":22")
	if err != nil {
		return fmt.Errorf("listen for SSH: %w", err)
	}
	go serve(listener, signer, client, children)
	return announce(signer.PublicKey())
}

func mountAll() error {
	for _, m := range []struct{ source, target, fstype, data string }{
		{"proc", "/proc", "proc", ""},
		{"sysfs", "/sys", "sysfs", ""},
		{"devtmpfs", "/dev", "devtmpfs", ""},
		{"tmpfs", "/run", "tmpfs", "mode=0755"},
		{"tmpfs", "/tmp", "tmpfs", "mode=1777"},
		{"debugfs", "/sys/kernel/debug", "debugfs", ""},
		{"tracefs", "/sys/kernel/tracing", "tracefs", ""},
		{"configfs", "/sys/kernel/config", "configfs", ""},
		{"devpts", "/dev/pts", "devpts", "ptmxmode=0666"},
		{"hugetlbfs", "/run/huge", "hugetlbfs", ""},
	} {
		if err := os.MkdirAll(m.target, 0o755); err != nil && !os.IsExist(err) {
			if m.fstype == "configfs" || m.fstype == "debugfs" || m.fstype == "tracefs" {
				continue // sysfs refuses new directories: the kernel was built without it
			}
			return fmt.Errorf("make %s: %w", m.target, err)
		}
		err := unix.Mount(m.source, m.target, m.fstype, 0, m.data)
		if err != nil && err != unix.EBUSY && err != unix.ENODEV { // ENODEV: not in this kernel
			return fmt.Errorf("mount %s on %s: %w", m.fstype, m.target, err)
		}
	}
	return nil
}

// loadModules loads the listed files in order. A module that the kernel refuses is
// reported on the console but does not end the boot: scenarios that need it report
// that themselves.
func loadModules(list string) error {
	f, err := os.Open(list)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name := lines.Text()
		if name == "" {
			continue
		}
		if !filepath.IsAbs(name) {
			name = filepath.Join("/lib/modules", name)
		}
		m, err := os.Open(name)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(m.Fd()), "", 0)
		m.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			fmt.Printf("faultline-init: module %s: %v\n", filepath.Base(name), err)
		}
	}
	return lines.Err()
}

// cmdline returns the parameters of the kernel command line.
func cmdline() (map[string]string, error) {
	data, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, err
	}
	args := map[string]string{}
	for _, word := range strings.Fields(string(data)) {
		k, v, _ := strings.Cut(word, "=")
		args[k] = v
	}
	return args, nil
}

// network brings up lo, and the first card with the address that QEMU's user
// network assigns to its first guest (qemu(1), -netdev user).
func network() error {
	// A card with IPv6 sends packets on its own for seconds, in every clone.
	for _, which := range []string{"all", "default"} {
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+which+"/disable_ipv6", []byte("1"), 0) // a kernel may have no IPv6
	}
	if err := up("lo", net.IPv4(127, 0, 0, 1), net.CIDRMask(8, 32)); err != nil {
		return err
	}
	cards, err := filepath.Glob("/sys/class/net/e*")
	if err != nil || len(cards) == 0 {
		return fmt.Errorf("no network card; is virtio_net among the modules?")
	}
	return up(filepath.Base(cards[0]), net.IPv4(10, 0, 2, 15), net.CIDRMask(24, 32))
}

func up(name string, ip net.IP, mask net.IPMask) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bring up %s: %w", name, err)
	}
	defer unix.Close(s)
	for _, set := range []struct {
		request uintptr
		ip      []byte
	}{{unix.SIOCSIFADDR, ip.To4()}, {unix.SIOCSIFNETMASK, mask}} {
		req, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		if err := req.SetInet4Addr(set.ip); err != nil {
			return err
		}
		if err := ioctl(s, set.request, req); err != nil {
			return fmt.Errorf("set the address of %s: %w", name, err)
		}
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := ioctl(s, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("bring up %s: %w", name, err)
	}
	return nil
}

func ioctl(fd int, request uintptr, req *unix.Ifreq) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(req))); errno != 0 {
		return errno
	}
	return nil
}

// announce reports the SSH host key, once SSH answers, on the port that the agent
// will use.
func announce(key ssh.PublicKey) error {
	port, err := findPort()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(port, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open the host's port: %w", err)
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "ssh %s\n%s\n", base64.StdEncoding.EncodeToString(key.Marshal()), port)
	return err
}

// findPort finds the device of the host's port by its name.
func findPort() (string, error) {
	names, err := filepath.Glob("/sys/class/virtio-ports/*/name")
	if err != nil {
		return "", err
	}
	for _, n := range names {
		if name, err := os.ReadFile(n); err == nil && strings.TrimSpace(string(name)) == wire.Port {
			return "/dev/" + filepath.Base(filepath.Dir(n)), nil
		}
	}
	return "", fmt.Errorf("no virtio port is named %s; is virtio_console among the modules?", wire.Port)
}
