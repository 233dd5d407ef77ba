// Package cellcache keeps cells that were observed, so that the same cell is observed
// once. A cell is a function of what its key is made of: the frozen guest, the
// code of its scenario, what runs the guest. What was found fault with is not
// kept, and what can't be read is not there.
package cellcache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/limitread"
)

const (
	kind     = "cells"
	stamp    = "kept 1" // raise it when what is kept is read otherwise
	bootFile = "boot"   // no scenario's name is that short: they are digests
)

// Most bounds a file, in bytes: a cell with a kernel's whole log has 1 MiB, a
// console is as long as a boot's time and its serial port allow.
const Most = 64 << 20

// Key is of all that decides what a suite's scenarios show on a kernel: the
// template that their guests are cloned from (vm.Host.TemplateKey), the digest of
// the suite, and what else the suite reads.
func Key(template, suite string, more ...string) string {
	return cache.Key(append([]string{stamp, results.Schema, template, suite}, more...)...)
}

// Shelf is what is kept of a suite on a kernel. Use Open, and Close it.
type Shelf struct{ work *cache.Work }

// Open takes the shelf of a key from the cache, or makes it. It is shared with
// other processes.
func Open(ctx context.Context, c *cache.Cache, key string) (*Shelf, error) {
	w, err := c.Work(ctx, kind, key, true, nil)
	if err != nil {
		return nil, err
	}
	return &Shelf{w}, nil
}

// Close lets the shelf be pruned.
func (s *Shelf) Close() error { return s.work.Close() }

// Boot is what a kernel's boot told, which a run's record has beside the cells.
type Boot struct {
	Millis float64  `json:"ms"` // as results.Kernel has it
	Splats []string `json:"splats,omitempty"`
	Taint  string   `json:"taint,omitempty"`
	// Console is what the kernel printed, Command the script that boots it.
	Console []byte `json:"console,omitempty"`
	Command []byte `json:"command,omitempty"`
}

// Boot is what was kept of the kernel's boot.
func (s *Shelf) Boot() (b Boot, ok bool) { return b, s.get(bootFile, &b) == nil }

// PutBoot keeps what the kernel's boot told.
func (s *Shelf) PutBoot(b Boot) error { return s.put(bootFile, b) }

// Cell is what was observed of a scenario, with the run that observed it
// (observe.Cell.ObservedBy). Its kernel has the name that it had there.
func (s *Shelf) Cell(scenario string) (c observe.Cell, ok bool) {
	err := s.get(cache.Key(scenario), &c)
	return c, err == nil && c.Scenario == scenario && c.Verdict == observe.Expected && c.ObservedBy != "" && len(c.Steps) > 0
}

// Put keeps a cell that this run observed, if it is as expected.
func (s *Shelf) Put(c observe.Cell, run string) error {
	if c.Verdict != observe.Expected || c.ObservedBy != "" || c.Panicked {
		return nil
	}
	c.ObservedBy, c.Attempt = run, 0
	return s.put(cache.Key(c.Scenario), c)
}

// put writes a value below its digest, and renames the file when it is whole. It does
// not wait for the disk: get finds a file that a power loss left incomplete, and then
// the cell is observed again.
func (s *Shelf) put(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(s.work.Path, name+"-")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(tmp, "%s\n%s", digest(data), data)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(s.work.Path, name))
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}

// get reads what put wrote.
func (s *Shelf) get(name string, v any) error {
	data, err := limitread.ReadFile(filepath.Join(s.work.Path, name), Most)
	if err != nil {
		return err
	}
	sum, value, _ := strings.Cut(string(data), "\n")
	if sum != digest([]byte(value)) {
		return errors.New("it is no more what it was")
	}
	return json.Unmarshal([]byte(value), v)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
