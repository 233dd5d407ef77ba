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

// Template is a guest that was booted until its agent was ready, and frozen on disk: its
// memory and pmem in files, its devices in a migration stream. Any number of clones can
// be started from it; clones do not change it.
type Template struct {
	// Built is set if this process booted it.
	Built bool
	// Boot and Freeze are the durations of these steps, if Built.
	Boot, Freeze time.Duration

	host  *Host
	spec  Spec
	key   string
	entry *cache.Entry
	meta  templateMeta
}

// templateMeta is the information for clones that is not in the state of a device.
type templateMeta struct {
	Hello     wire.HelloReply
	Devices   []wire.Device
	Mounted   []string
	Files     []File
	HostKey   []byte // SSH wire format
	ClientKey []byte // ed25519 seed
	Machine   qemu.Machine
	BootMS    float64
	Log       []string // the kernel log up to the freeze
}

const (
	templateKind  = "templates"
	metaFile      = "meta.json"
	consoleName   = "console.log"
	stateFile     = "state"
	templateStamp = "template 9" // increment it when the same inputs result in another template
)

// maxMeta is the maximum size of a template's meta.json, which contains the kernel log,
// in bytes.
const maxMeta = 64 << 20

// spareVictims is the number of victims that are started before the freeze, so that a
// scenario's first victims exist already.
const spareVictims = 2

// Template returns the template for s from the cache, or boots and freezes it. The cache
// key covers all inputs. Close the template after its clones.
func (r *Host) Template(ctx context.Context, s Spec) (*Template, error) {
	if err := checkConfig(s.Kernel); err != nil {
		return nil, err
	}
	parts, err := r.prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	defer parts.close()
	host, err := r.host(s.Accel)
	if err != nil {
		return nil, err
	}
	t := &Template{host: r, spec: s, key: r.templateKey(s, parts, host)}
	t.entry, err = r.Cache.GetChecked(ctx, templateKind, t.key, func(ctx context.Context, dir string) error {
		return t.build(ctx, parts, dir)
	})
	if err != nil {
		return nil, err
	}
	t.Built = t.entry.Built
	return t, t.read()
}

// Known returns the template with a key that another process has just computed and
// checked, because computing a key takes long. If it does not exist, Known calls
// Template.
func (r *Host) Known(ctx context.Context, s Spec, key string) (*Template, error) {
	t := &Template{host: r, spec: s, key: key}
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

// Accel returns the accelerator of its guests.
func (t *Template) Accel() qemu.Accel { return t.spec.Accel }

// Key returns the template's key in the cache.
func (t *Template) Key() string { return t.key }

// read reads the template's meta.json. It closes the template if that fails.
func (t *Template) read() error {
	data, err := limitread.ReadFile(filepath.Join(t.entry.Path, metaFile), maxMeta)
	if err == nil {
		err = json.Unmarshal(data, &t.meta)
	}
	if err != nil {
		t.Close()
		return &GuestError{
			Kind:   HostFailed,
			Doing:  "read the template",
			Kernel: t.spec.Kernel.Name,
			Err:    err,
			Hint:   "remove it: faultline cache prune --all",
		}
	}
	return nil
}

// TemplateKey returns the key of the template for s, without booting it.
func (r *Host) TemplateKey(ctx context.Context, s Spec) (string, error) {
	parts, err := r.prepare(ctx, s)
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

// host describes the parts of this machine that run guests.
func (r *Host) host(a qemu.Accel) (string, error) {
	id, err := r.identity()
	if err != nil || a != qemu.KVM {
		return id, err
	}
	cpu, err := processor()
	return id + cpu, err
}

// templateKey returns a digest of everything that a template depends on. Files are
// included by their content, not by their names.
func (r *Host) templateKey(s Spec, p *parts, host string) string {
	m := qemu.Machine{
		Accel:     s.Accel,
		CPUs:      s.CPUs,
		CPU:       s.CPU,
		E820Addr:  e820Addr,
		E820Bytes: e820Bytes,
		Node:      s.LargeNVDIMM,
		RAM:       qemu.File{Bytes: s.ram()},
		Share:     true,
	}
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
		return &GuestError{
			Kind:   HostFailed,
			Doing:  "read the kernel in the cache",
			Kernel: t.spec.Kernel.Name,
			Err:    err,
			Hint:   "run again, which unpacks it again",
		}
	}
	m, err := p.machine(ctx, t.spec, dir, true)
	if err != nil {
		return err
	}
	guestDir, err := os.MkdirTemp(t.host.dir, "template-")
	if err != nil {
		return &GuestError{Kind: HostFailed, Doing: "build a template", Err: err}
	}
	spec := t.spec
	if spec.Console == "" {
		spec.Console = filepath.Join(dir, consoleName)
	}
	g, err := t.host.boot(ctx, spec, m, guestDir)
	if err != nil {
		os.RemoveAll(guestDir)
		return err
	}
	defer g.Close()
	t.Boot = g.Timings.At("ready")
	// The whole log first: reading it uses memory that the agent reserves for its clones
	// when it starts the victims.
	booted, err := g.agent.call(ctx, &wire.Request{KernelLog: &wire.KernelLog{}})
	if err != nil {
		return g.guestError(ctx, "read the kernel log", err)
	}
	hold := []string{"/proc/sys/kernel/tainted"} // files that each scenario reads or writes
	for _, disk := range g.Mounted {
		hold = append(hold, "/sys/block/"+disk+"/badblocks")
	}
	if err := g.hello(ctx, spareVictims, hold...); err != nil { // clones start with this reply
		return g.guestError(ctx, "start the spare victims", err)
	}
	since, err := g.agent.call(ctx, &wire.Request{KernelLog: &wire.KernelLog{Since: booted.Log.Next}})
	if err != nil {
		return g.guestError(ctx, "read the kernel log", err)
	}
	booted.Log.Lines = append(booted.Log.Lines, since.Log.Lines...)
	if err := g.StoodStill(booted.Log.Lines); err != nil {
		return err // the complaint would be in all clones
	}
	begun := time.Now()
	if err := g.freeze(ctx, filepath.Join(dir, stateFile)); err != nil {
		return g.guestError(ctx, "freeze the template", err)
	}
	meta, err := json.Marshal(templateMeta{
		Hello:     g.Hello,
		Devices:   g.Devices,
		Mounted:   g.Mounted,
		Files:     g.Files,
		HostKey:   g.hostKey.Marshal(),
		ClientKey: g.client.Seed(),
		Machine:   m.In(""),
		BootMS:    float64(t.Boot.Microseconds()) / 1000,
		Log:       booted.Log.Lines,
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
	// The caller may remove its file; the template needs its own copy.
	text, err := limitread.ReadFile(t.spec.Console, 2*maxConsole)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, consoleName), text, 0o644)
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
	// quit makes QEMU close its files; Close would kill it.
	mon.Run(ctx, "quit", nil, nil)
	select {
	case <-g.proc.Done():
	case <-ctx.Done():
	}
	return nil
}

// CloneOptions are the options that can differ between clones.
type CloneOptions struct {
	Console string // as in Spec
	// Debug makes a clone that can be inspected: see Guest.Open.
	Debug bool

	// autopsy is called with a guest that ended its machine, while it is stopped, or that
	// was lost at its start.
	autopsy func(context.Context, *qemu.Monitor)
}

// Clone starts a guest from the template. Its agent runs already.
func (t *Template) Clone(ctx context.Context, opt CloneOptions) (_ *Guest, err error) {
	if t.entry == nil {
		return nil, errors.New("clone of a template that was closed")
	}
	s := t.spec
	s.Console = opt.Console
	dir, err := os.MkdirTemp(t.host.dir, "clone-")
	if err != nil {
		return nil, &GuestError{Kind: HostFailed, Doing: "clone", Kernel: s.Kernel.Name, Err: err}
	}
	g := &Guest{
		spec:       s,
		dir:        dir,
		template:   t.key,
		postMortem: postMortem{autopsy: opt.autopsy},
		debug:      opt.Debug,
		client:     ed25519.NewKeyFromSeed(t.meta.ClientKey),
		Timings:    Timings{Start: time.Now()},
		Hello:      t.meta.Hello,
		Devices:    t.meta.Devices,
		Mounted:    t.meta.Mounted,
		Files:      t.meta.Files,
	}
	if g.hostKey, err = ssh.ParsePublicKey(t.meta.HostKey); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	m := t.meta.Machine.In(t.entry.Path)
	m.Share, m.Incoming = false, true
	if err := g.start(ctx, t.host.QEMU, m); err != nil {
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
		// No request is needed: its clock, its random numbers and the end of its log are
		// the template's. See SSH.
		g.agent.serve()
		g.greeted = time.Now()
		return g, nil
	}
	err = g.guestError(ctx, "clone", err)
	if opt.autopsy != nil && g.proc.Err() == nil {
		limited, cancel := context.WithTimeout(context.Background(), callLimit)
		opt.autopsy(limited, g.proc.Monitor)
		cancel()
	}
	g.Close()
	return nil, err
}

// thaw loads the state that freeze wrote and resumes the guest.
func (g *Guest) thaw(ctx context.Context, state string) error {
	if err := g.proc.LoadState(ctx, state); err != nil {
		return err
	}
	return g.proc.Monitor.Run(ctx, "cont", nil, nil)
}

// Log returns the kernel log up to the freeze, including lines that were not printed.
func (t *Template) Log() []string { return t.meta.Log }

// Taint returns the kernel's taint at the freeze (/proc/sys/kernel/tainted).
func (t *Template) Taint() uint64 { return t.meta.Hello.Taint }

// Console returns the kernel's output while it booted, escaped by sanitize.Escaper.
func (t *Template) Console() ([]byte, error) {
	return limitread.ReadFile(filepath.Join(t.entry.Path, consoleName), 2*maxConsole)
}

// BootTime returns the duration of its boot, from QEMU's start to the agent's first
// answer, even if another process booted it.
func (t *Template) BootTime() time.Duration {
	return time.Duration(t.meta.BootMS * float64(time.Millisecond))
}

// Close allows the template to be pruned. Its clones must be closed.
func (t *Template) Close() error {
	err := t.entry.Close()
	t.entry = nil
	return err
}
