package qemu

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The allowed options of QEMU and their allowed values. Anything else may be a device, a
// folder of the host or network access, and must be added deliberately.
var allowed = map[string]string{
	"-nodefaults": "", "-no-user-config": "", "-no-reboot": "",
	"-display": `none`,
	"-action":  `panic=none|shutdown=pause`,
	"-machine": `pc-q35-7\.2,accel=(tcg|kvm),memory-backend=ram,graphics=off,vmport=off,sata=off,smbus=off,i8042=off(,nvdimm=on)?`,
	"-cpu":     `.+`, "-smp": `\d+`, "-m": `.+`,
	"-object": `memory-backend-file,id=[a-z0-9-]+,share=(on|off),mem-path=.+,size=\d+(,align=2M)?`,
	"-netdev": `user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127\.0\.0\.1:0-10\.0\.2\.15:22`,
	"-device": `nvdimm,.+|virtio-pmem-pci,.+|virtio-net-pci,netdev=net,romfile=,guest_announce=off|pvpanic` +
		`|virtio-serial-pci,max_ports=2|virtserialport,chardev=agent,name=\S+`,
	"-chardev": `socket,id=(qmp|gdb|debug),fd=\d+,server=on,wait=off|socket,id=agent,fd=\d+|stdio,id=console,signal=off`,
	"-mon":     `chardev=qmp,mode=control|mode=control,chardev=debug`, "-serial": `chardev:console`,
	"-kernel": `.+`, "-initrd": `.+`, "-append": `.+`, "-incoming": `defer`,
	"-sandbox": `on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny`,
}

// checkArguments reports arguments of QEMU that are not allowed.
func checkArguments(args []string) (wrong []string) {
	for len(args) > 0 {
		value, known := allowed[args[0]]
		switch {
		case !known:
			wrong = append(wrong, args[0])
		case value == "":
		case len(args) < 2 || !regexp.MustCompile(`^(`+value+`)$`).MatchString(args[1]):
			wrong = append(wrong, strings.Join(args[:min(2, len(args))], " "))
			fallthrough
		default:
			args = args[min(1, len(args)-1):]
		}
		args = args[1:]
	}
	return wrong
}

func TestArgumentsAllowed(t *testing.T) {
	m := standard()
	for range 2 {
		if wrong := checkArguments(m.Args()); len(wrong) > 0 {
			t.Errorf("got %q as wrong, want none", wrong)
		}
		m.Accel, m.Share, m.Incoming = KVM, true, true
	}
	for _, more := range [][]string{
		{"-device", "qemu-xhci"}, {"-virtfs", "local,path=/"}, {"-vnc", ":0"}, {"-netdev", "user,id=net"}, {"-display"},
		{"-netdev", "user,id=net,restrict=on,ipv6=off,hostfwd=tcp:0.0.0.0:0-10.0.2.15:22"}, {"-gdb", "tcp::1234"},
	} {
		if wrong := checkArguments(append(m.Args(), more...)); !slices.Equal(wrong, []string{strings.Join(more, " ")}) && !slices.Contains(wrong, more[0]) {
			t.Errorf("%q: got only %q as wrong", more, wrong)
		}
	}
}

// Devices that QEMU emulates in addition to those of its arguments.
func TestDevicesOfTheMachine(t *testing.T) {
	bin, err := Find(t.Context(), "amd64")
	if err != nil {
		t.Skip(err)
	}
	p, _ := incoming(t, bin, Options{Debug: true})
	if wrong := checkArguments(p.Args()); len(wrong) > 0 {
		t.Errorf("got %q as wrong, want none", wrong)
	}
	tree, err := p.Monitor.HMP(t.Context(), "info qtree")
	if err != nil || !strings.Contains(tree, "dev: virtio-serial-pci") {
		t.Fatalf("got error %v, want a virtio-serial-pci:\n%s", err, tree)
	}
	for _, line := range regexp.MustCompile(`dev: \S*(usb|hci|ide|floppy|fdc|vga|ps2|vmmouse|smb|sound|hda|scsi|parallel)\S*`).FindAllString(tree, -1) {
		t.Errorf("got the device %s, want none of this kind", line)
	}
}
