// Package modules reads a kernel's modules folder (lib/modules/REL): which
// files a module needs, in which order, and what is in them. It reads the
// target's own modules.dep, never the host's /sys, which is what
// "modprobe --show-depends" would do. It loads nothing and writes nothing.
package modules

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz" // not ulikunitz/xz: kernels are filtered for x86 (BCJ), which that one lacks

	"github.com/faultline/faultline/internal/limitread"
)

// Index knows the modules of one folder. Use Open.
type Index struct {
	dir     string
	deps    map[string]entry    // by module name
	builtin map[string]bool     // by module name
	soft    map[string][]string // module name: names or aliases to load before
	alias   map[string][]string // alias without wildcards: module names
}

type entry struct {
	path string   // relative to dir
	deps []string // names
}

// File is one module file of a kernel.
type File struct {
	// Name is the module's name as lsmod prints it, with underscores.
	Name string
	// Path is the file's path, below the folder given to Open.
	Path string
	// Soft marks a module that only a soft dependency (MODULE_SOFTDEP "pre:")
	// asks for, and what it needs. It may refuse to load, as crc32c_intel does
	// on a processor without SSE4.2: that is no error.
	Soft bool
}

// UnknownError names the modules that the kernel neither has nor has built in.
type UnknownError struct {
	Dir   string
	Names []string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("find modules in %s: no module named %s; use a kernel that has them, or leave out what needs them",
		e.Dir, strings.Join(e.Names, ", "))
}

// Open reads modules.dep of the folder, and modules.builtin, modules.softdep
// and modules.alias where they are there.
func Open(dir string) (*Index, error) {
	data, err := limitread.ReadFile(filepath.Join(dir, "modules.dep"), maxList)
	if err != nil {
		return nil, fmt.Errorf("read the modules' dependencies: %w; make the file with depmod -b", err)
	}
	x, err := parseDep(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w; make the file anew with depmod -b", filepath.Join(dir, "modules.dep"), err)
	}
	x.dir = dir
	for name, parse := range map[string]func([]byte){
		"modules.builtin": x.parseBuiltin, "modules.softdep": x.parseSoft, "modules.alias": x.parseAlias,
	} {
		data, err := limitread.ReadFile(filepath.Join(dir, name), maxList)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the modules folder: %w", err)
		}
		parse(data)
	}
	return x, nil
}

// parseDep reads modules.dep(5): "path: path path...", the module first, then
// all it needs, directly or not.
func parseDep(data []byte) (*Index, error) {
	x := &Index{
		deps: map[string]entry{}, builtin: map[string]bool{},
		soft: map[string][]string{}, alias: map[string][]string{},
	}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		text := strings.TrimSpace(string(line))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		file, rest, ok := strings.Cut(text, ":")
		if !ok {
			return nil, fmt.Errorf("line %d: %.60q is not PATH: PATH...", n, text)
		}
		var deps []string
		for _, p := range append(strings.Fields(rest), file) {
			if !fs.ValidPath(p) || !IsModule(p) {
				return nil, fmt.Errorf("line %d: %.60q is not a module's path below the folder", n, p)
			}
			deps = append(deps, Name(p))
		}
		x.deps[Name(file)] = entry{path: file, deps: deps[:len(deps)-1]}
	}
	return x, nil
}

func (x *Index) parseBuiltin(data []byte) {
	for f := range strings.FieldsSeq(string(data)) {
		x.builtin[Name(f)] = true
	}
}

// parseSoft reads lines such as "softdep ext4 pre: crc32c post: foo".
func (x *Index) parseSoft(data []byte) {
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "softdep" {
			continue
		}
		pre := false
		for _, w := range f[2:] {
			switch {
			case w == "pre:":
				pre = true
			case strings.HasSuffix(w, ":"):
				pre = false
			case pre:
				x.soft[canonical(f[1])] = append(x.soft[canonical(f[1])], w)
			}
		}
	}
}

// parseAlias reads lines such as "alias crc32c crc32c_generic". Those with
// wildcards match devices, which nobody asks for by name.
func (x *Index) parseAlias(data []byte) {
	for line := range bytes.Lines(data) {
		if bytes.ContainsAny(line, "*?[:") { // nearly all, some 30,000
			continue
		}
		if f := strings.Fields(string(line)); len(f) == 3 && f[0] == "alias" {
			a := canonical(f[1])
			x.alias[a] = append(x.alias[a], canonical(f[2]))
		}
	}
}

// Modules returns the files that have to be loaded, in that order, for the
// named modules to work: dependencies first, each file once, modules that are
// built in left out. Names may be written with - or _, and may be aliases.
// Names that the kernel does not have make an *UnknownError; the files of the
// other names are returned beside it.
func (x *Index) Modules(names ...string) ([]File, error) {
	w := walk{x: x, at: map[string]int{}, open: map[string]bool{}}
	var unknown []string
	for _, name := range names {
		if !w.add(name) {
			unknown = append(unknown, name)
		}
	}
	if w.tooDeep {
		return nil, fmt.Errorf("%s: dependencies are more than %d deep; make it anew with depmod -b", filepath.Join(x.dir, "modules.dep"), mostDeep)
	}
	if unknown != nil {
		return w.files, &UnknownError{Dir: x.dir, Names: unknown}
	}
	return w.files, nil
}

// walk orders modules. at is where a module stands in files. stack are those whose
// dependencies are being added, each one asked for by the one below it; open has their
// names, because soft dependencies may go round in circles.
type walk struct {
	x     *Index
	files []File
	at    map[string]int
	stack []visit
	open  map[string]bool
	// tooDeep says that a module's dependencies go further than mostDeep.
	tooDeep bool
}

// visit is a module, or an alias, that is being added.
type visit struct {
	name  string
	soft  bool
	alias bool
	first []string // soft dependencies; the targets of an alias
	deps  []string
	next  int // which of first and deps is next
}

// mostDeep bounds how far dependencies are followed. depmod lists all that a module
// needs in its own line, so that those of a kernel are some ten deep with their soft ones.
const mostDeep = 1000

// add adds a module, behind all that it needs, and reports whether there is one.
func (w *walk) add(name string) bool {
	known := w.enter(name, false)
	for len(w.stack) > 0 {
		v := &w.stack[len(w.stack)-1]
		i := v.next
		v.next++
		switch {
		case i < len(v.first):
			w.enter(v.first[i], v.soft || !v.alias)
		case i < len(v.first)+len(v.deps):
			// modules.dep lists what is needed last first, as modprobe loads them.
			w.enter(v.deps[len(v.first)+len(v.deps)-1-i], v.soft)
		default:
			w.leave()
		}
	}
	return known
}

// enter begins to add a module, and reports whether there is one.
func (w *walk) enter(name string, soft bool) bool {
	name = canonical(name)
	if len(w.stack) > mostDeep {
		w.tooDeep = true
		return false
	}
	e, ok := w.x.deps[name]
	if !ok {
		v := visit{name: name, soft: soft, alias: true}
		for _, target := range w.x.alias[name] {
			if target != name && w.x.known(target) {
				v.first = append(v.first, target)
			}
		}
		if !w.x.builtin[name] && len(v.first) > 0 {
			w.stack = append(w.stack, v)
			return true
		}
		return w.x.builtin[name]
	}
	if i, done := w.at[name]; done {
		if soft || !w.files[i].Soft {
			return true
		}
		w.files[i].Soft = false // its own dependencies follow suit
	}
	if !w.open[name] {
		w.open[name] = true
		w.stack = append(w.stack, visit{name: name, soft: soft, first: w.x.soft[name], deps: e.deps})
	}
	return true
}

// leave ends with the module on top of the stack, whose dependencies are all there.
func (w *walk) leave() {
	v := w.stack[len(w.stack)-1]
	w.stack = w.stack[:len(w.stack)-1]
	if v.alias {
		return
	}
	delete(w.open, v.name)
	if _, done := w.at[v.name]; !done {
		w.at[v.name] = len(w.files)
		file := filepath.Join(w.x.dir, filepath.FromSlash(w.x.deps[v.name].path))
		w.files = append(w.files, File{Name: v.name, Path: file, Soft: v.soft})
	}
}

func (x *Index) known(name string) bool { _, ok := x.deps[name]; return ok || x.builtin[name] }

// Builtin says whether a module is part of the kernel itself.
func (x *Index) Builtin(name string) bool { return x.builtin[canonical(name)] }

// Has says whether the kernel has the module, as a file or built in.
func (x *Index) Has(name string) bool { return x.known(canonical(name)) }

// Names returns the names of all module files, sorted.
func (x *Index) Names() []string {
	names := make([]string, 0, len(x.deps))
	for n := range x.deps {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

var suffixes = []string{".ko", ".ko.xz", ".ko.zst", ".ko.gz"}

// IsModule says whether a file's name is that of a module, compressed or not.
func IsModule(file string) bool {
	for _, s := range suffixes {
		if strings.HasSuffix(file, s) && path.Base(file) != s {
			return true
		}
	}
	return false
}

// Name is the name of the module in a file: its base name, without suffix, with
// underscores for dashes.
func Name(file string) string {
	base := path.Base(filepath.ToSlash(file))
	for _, s := range suffixes {
		if n, ok := strings.CutSuffix(base, s); ok {
			return canonical(n)
		}
	}
	return canonical(base)
}

func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

// MaxBytes bounds a module's file, and what a compressed one may grow to. The
// largest of Debian's are below 20 MB.
const MaxBytes = 256 << 20

// maxList bounds modules.dep and its like, in bytes. Debian's have 2 MB at most.
const maxList = 16 << 20

// windowMax bounds the window of a module that zstd compressed, in bytes: zstd -22
// --ultra asks for as much.
const windowMax = 128 << 20

// Read returns a module file's content, decompressed (.ko, .ko.xz, .ko.zst and
// .ko.gz), so that init_module(2) of any kernel takes it.
func Read(file string) ([]byte, error) {
	data, err := limitread.ReadFile(file, MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("read a module: %w", err)
	}
	out, err := decompress(file, data)
	if err != nil {
		return nil, fmt.Errorf("read module %s: %w", file, err)
	}
	return out, nil
}

func decompress(file string, data []byte) ([]byte, error) {
	var r io.Reader
	switch path.Ext(file) {
	case ".xz":
		x, err := xz.NewReader(bytes.NewReader(data), xz.DefaultDictMax)
		if err != nil {
			return nil, err
		}
		r = x
	case ".zst":
		z, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(windowMax))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	case ".gz":
		g, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		r = g
	default:
		return data, nil
	}
	out, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err == nil && len(out) > MaxBytes {
		err = fmt.Errorf("more than %d bytes", MaxBytes)
	}
	return out, err
}

// Release is the kernel release a module was built for, from the vermagic of
// its .modinfo section ("vermagic=6.1.0-56-amd64 SMP preempt..."), or "".
// Module is the file's decompressed content.
func Release(module []byte) string {
	_, rest, ok := bytes.Cut(module, []byte("\x00vermagic="))
	if !ok {
		if rest, ok = bytes.CutPrefix(module, []byte("vermagic=")); !ok {
			return ""
		}
	}
	rest = rest[:min(len(rest), 128)]
	if i := bytes.IndexAny(rest, " \x00"); i >= 0 {
		return string(rest[:i])
	}
	return ""
}
