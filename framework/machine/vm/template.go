package vm

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/limitread"
)

// Template is a guest that was booted until its agent waited, and frozen on
// disk: its memory and pmem in files, its devices in a migration stream. Any
// number of clones start from it; none of them changes it.
type Template struct {
	// Built says whether this process booted it.
	Built bool
	// Boot and Freeze are how long that took, when Built.
	Boot, Freeze time.Duration

	rig   *Host
	spec  Spec
	key   string
	entry *cache.Entry
	meta  templateMeta
}

// templateMeta is what a clone must know that is in no device.
type templateMeta struct {
	Welcome   wire.HelloReply
	Devices   []wire.Device
	Mounted   []string
	Files     []File
	HostKey   []byte // SSH wire format
	ClientKey []byte // ed25519 seed
	Machine   qemu.Machine
	BootMS    float64
	Log       []string // the kernel's, until the freeze
}

const (
	templateKind  = "templates"
	metaFile      = "meta.json"
	consoleName   = "console.log"
	stateFile     = "state"
	templateStamp = "template 8" // raise it when the same inputs give another template
)

// maxMeta bounds what is read of a template's meta.json, which has the kernel's
// log, in bytes.
const maxMeta = 64 << 20

// spareVictims are started before the freeze, so that a scenario's first
// victims need no start of their own.
const spareVictims = 2

// Template finds the template for s in the cache, or boots and freezes it. The
// key holds everything that went in. Close the template after its clones.
func (r *Host) Template(ctx context.Context, s Spec) (*Template, error) {
	if err := checkConfig(s.Kernel); err != nil {
		return nil, err
	}
	parts, err := r.prepare(ctx, s.Kernel)
	if err != nil {
		return nil, err
	}
	defer parts.close()
	host, err := r.host(s.Accel)
	if err != nil {
		return nil, err
	}
	t := &Template{rig: r, spec: s, key: r.templateKey(s, parts, host)}
	t.entry, err = r.Cache.GetChecked(ctx, templateKind, t.key, func(ctx context.Context, dir string) error {
		return t.build(ctx, parts, dir)
	})
	if err != nil {
		return nil, err
	}
	t.Built = t.entry.Built
	return t, t.read()
}

// Known finds the template of a key, whose content another process has just looked
// at: a key is much work to make. Where it is not there it is Template's to say why.
func (r *Host) Known(ctx context.Context, s Spec, key string) (*Template, error) {
	t := &Template{rig: r, spec: s, key: key}
	var err error
	t.entry, err = r.Cache.Get(ctx, templateKind, key, func(context.Context, string) error { return errGone })
	if errors.Is(err, errGone) {
		return r.Template(ctx, s)
	}
	if err != nil {
		return nil, err
	}
	return t, t.read()
}

var errGone = errors.New("the template is gone")

// Accel is what its guests run with.
func (t *Template) Accel() qemu.Accel { return t.spec.Accel }

// Key is that of the template in the cache.
func (t *Template) Key() string { return t.key }

// read reads what a clone must know, or closes the template.
func (t *Template) read() error {
	data, err := limitread.ReadFile(filepath.Join(t.entry.Path, metaFile), maxMeta)
	if err == nil {
		err = json.Unmarshal(data, &t.meta)
	}
	if err != nil {
		t.Close()
		return &GuestError{Kind: HostFailed, Doing: "read the template", Kernel: t.spec.Kernel.Name, Err: err, Hint: "remove it: faultline cache prune --all"}
	}
	return nil
}

// TemplateKey is the key of the template for s, which is not booted for it.
func (r *Host) TemplateKey(ctx context.Context, s Spec) (string, error) {
	parts, err := r.prepare(ctx, s.Kernel)
	if err != nil {
		return "", err
	}
	defer parts.close()
	host, err := r.host(s.Accel)
	if err != nil {
		return "", err
	}
	return r.templateKey(s, parts, host), nil
}

// host describes what of this machine runs the guests.
func (r *Host) host(a qemu.Accel) (string, error) {
	id, err := r.identity()
	if err != nil || a != qemu.KVM {
		return id, err
	}
	cpu, err := processor()
	return id + cpu, err
}

// templateKey names everything that a template depends on. File names are left
// out: what is in the files is there by digest.
func (r *Host) templateKey(s Spec, p *parts, host string) string {
	m := qemu.Machine{Accel: s.Accel, CPUs: s.CPUs, CPU: s.CPU, E820Addr: e820Addr, E820Bytes: e820Bytes, RAM: qemu.File{Bytes: s.ram()}, Share: true}
	for _, image := range p.nvdimms {
		m.NVDIMMs = append(m.NVDIMMs, qemu.File{Bytes: image.Spec.Size})
	}
	for _, image := range p.virtio {
		m.VirtioPmem = append(m.VirtioPmem, qemu.File{Bytes: image.Spec.Size})
	}
	key := []string{
		templateStamp, r.QEMU.Version, host, r.agent.digest, p.initramfs.Key, s.Kernel.Digest, fmt.Sprint(s.Kernel.PVH),
		strings.Join(m.Args(), " "), fmt.Sprint(spareVictims),
	}
	for _, image := range p.all() {
		key = append(key, image.Key)
	}
	return cache.Key(key...)
}

func (t *Template) build(ctx context.Context, p *parts, dir string) error {
	if err := t.spec.Kernel.Check(); err != nil {
		return &GuestError{Kind: HostFailed, Doing: "read the kernel in the cache", Kernel: t.spec.Kernel.Name, Err: err, Hint: "run again: it is unpacked anew"}
	}
	m, err := p.machine(ctx, t.spec, dir, true)
	if err != nil {
		return err
	}
	guestDir, err := os.MkdirTemp(t.rig.dir, "template-")
	if err != nil {
		return &GuestError{Kind: HostFailed, Doing: "build a template", Err: err}
	}
	spec := t.spec
	if spec.Console == "" {
		spec.Console = filepath.Join(dir, consoleName)
	}
	g, err := t.rig.boot(ctx, spec, m, guestDir)
	if err != nil {
		os.RemoveAll(guestDir)
		return err
	}
	defer g.Close()
	t.Boot = g.Timings.At("ready")
	// The whole log first: reading it uses up memory that the agent takes in stock for
	// its clones when it is told of the victims.
	booted, err := g.agent.call(ctx, &wire.Request{KernelLog: &wire.KernelLog{}})
	if err != nil {
		return g.trouble(ctx, "read the kernel log", err)
	}
	hold := []string{"/proc/sys/kernel/tainted"} // what each scenario reads and writes
	for _, disk := range g.Mounted {
		hold = append(hold, "/sys/block/"+disk+"/badblocks")
	}
	if err := g.hello(ctx, spareVictims, hold...); err != nil { // its clones go on from this welcome
		return g.trouble(ctx, "start the spare victims", err)
	}
	since, err := g.agent.call(ctx, &wire.Request{KernelLog: &wire.KernelLog{Since: booted.Log.Next}})
	if err != nil {
		return g.trouble(ctx, "read the kernel log", err)
	}
	booted.Log.Lines = append(booted.Log.Lines, since.Log.Lines...)
	if err := g.StoodStill(booted.Log.Lines); err != nil {
		return err // its complaint would be in every clone
	}
	begun := time.Now()
	if err := g.freeze(ctx, filepath.Join(dir, stateFile)); err != nil {
		return g.trouble(ctx, "freeze the template", err)
	}
	meta, err := json.Marshal(templateMeta{
		Welcome: g.Welcome, Devices: g.Devices, Mounted: g.Mounted, Files: g.Files, HostKey: g.hostKey.Marshal(), ClientKey: g.client.Seed(), Machine: m.In(""),
		BootMS: float64(t.Boot.Microseconds()) / 1000, Log: booted.Log.Lines,
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, metaFile), meta, 0o600); err != nil {
		return &GuestError{Kind: HostFailed, Doing: "write the template", Err: err}
	}
	t.Freeze = time.Since(begun)
	if t.spec.Console == "" {
		return nil
	}
	// The caller's file may go any time; later users of the template want it too.
	said, err := limitread.ReadFile(t.spec.Console, 2*maxConsole)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, consoleName), said, 0o644)
}

// freeze stops the guest for good and writes the state of its devices.
func (g *Guest) freeze(ctx context.Context, state string) error {
	mon := g.proc.Monitor
	if err := mon.Run(ctx, "stop", nil, nil); err != nil {
		return err
	}
	if err := g.proc.SaveState(ctx, state); err != nil {
		return err
	}
	// quit lets QEMU close its files; Close would kill it.
	mon.Run(ctx, "quit", nil, nil)
	select {
	case <-g.proc.Done():
	case <-ctx.Done():
	}
	return nil
}

// CloneOptions are what may differ between clones.
type CloneOptions struct {
	Console string // as in Spec
	// Door is for a clone that a person looks into: see Guest.Open.
	Door bool

	// autopsy gets a guest that ended its machine, which stands still meanwhile, or
	// that was lost at its start.
	autopsy func(context.Context, *qemu.Monitor)
}

// Clone starts a guest from the template. Its agent is already there.
func (t *Template) Clone(ctx context.Context, opt CloneOptions) (_ *Guest, err error) {
	if t.entry == nil {
		return nil, errors.New("clone of a template that was closed")
	}
	s := t.spec
	s.Console = opt.Console
	dir, err := os.MkdirTemp(t.rig.dir, "clone-")
	if err != nil {
		return nil, &GuestError{Kind: HostFailed, Doing: "clone", Kernel: s.Kernel.Name, Err: err}
	}
	g := &Guest{spec: s, dir: dir, template: t.key, remains: remains{autopsy: opt.autopsy}, door: opt.Door, client: ed25519.NewKeyFromSeed(t.meta.ClientKey), Timings: Timings{Start: time.Now()}, Welcome: t.meta.Welcome, Devices: t.meta.Devices, Mounted: t.meta.Mounted, Files: t.meta.Files}
	if g.hostKey, err = ssh.ParsePublicKey(t.meta.HostKey); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	m := t.meta.Machine.In(t.entry.Path)
	m.Share, m.Incoming = false, true
	if err := g.start(ctx, t.rig.QEMU, m); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	g.Timings.mark("monitor")
	ctx, cancel := context.WithTimeoutCause(ctx, callLimit, fmt.Errorf("not running within %v", callLimit))
	defer cancel()
	ctx, unwatch := g.watch(ctx)
	defer unwatch()
	if err = g.thaw(ctx, filepath.Join(t.entry.Path, stateFile)); err == nil {
		g.Timings.mark("running")
		// Nothing is asked of it that its template did not tell: its clock, its random
		// numbers and the end of its log are the template's. See SSH.
		g.agent.serve()
		g.greeted = time.Now()
		return g, nil
	}
	err = g.trouble(ctx, "clone", err)
	if opt.autopsy != nil && g.proc.Err() == nil {
		limited, cancel := context.WithTimeout(context.Background(), callLimit)
		opt.autopsy(limited, g.proc.Monitor)
		cancel()
	}
	g.Close()
	return nil, err
}

// thaw loads the state that freeze wrote, and has the guest go on.
func (g *Guest) thaw(ctx context.Context, state string) error {
	if err := g.proc.LoadState(ctx, state); err != nil {
		return err
	}
	return g.proc.Monitor.Run(ctx, "cont", nil, nil)
}

// Log is the kernel's log until the freeze, also what it did not print.
func (t *Template) Log() []string { return t.meta.Log }

// Taint is the kernel's taint at the freeze (/proc/sys/kernel/tainted).
func (t *Template) Taint() uint64 { return t.meta.Welcome.Taint }

// Console is what the kernel printed while it booted, as plain.Escaper has it.
func (t *Template) Console() ([]byte, error) {
	return limitread.ReadFile(filepath.Join(t.entry.Path, consoleName), 2*maxConsole)
}

// BootTime is how long its boot took, from QEMU's start to the agent's first
// answer, also when another process did it.
func (t *Template) BootTime() time.Duration {
	return time.Duration(t.meta.BootMS * float64(time.Millisecond))
}

// Close lets the template be pruned. Its clones must be closed.
func (t *Template) Close() error {
	err := t.entry.Close()
	t.entry = nil
	return err
}
