// Package cellcache stores observed cells, so that the same cell is observed once. A
// cell depends only on the parts of its key: the template of the guest, the code of its
// scenario, and what runs the guest. Cells that are not as expected are not stored; an
// entry that cannot be read counts as absent.
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
	stamp    = "kept 1" // to be raised when the format or its meaning changes
	bootFile = "boot"   // differs from every scenario's name: those are digests
)

// Most bounds a file, in bytes: a cell with a complete kernel log takes 1 MiB; a console
// is bounded by the time of a boot and the speed of its serial port.
const Most = 64 << 20

// Key covers everything that determines what a suite's scenarios show on a kernel: the
// template that their guests are cloned from (vm.Host.TemplateKey), the digest of the
// suite, and the suite's other inputs.
func Key(template, suite string, more ...string) string {
	return cache.Key(append([]string{stamp, results.Schema, template, suite}, more...)...)
}

// Entry contains the stored cells of a suite on a kernel. Open returns one; it must be
// closed.
type Entry struct{ work *cache.Work }

// Open returns the entry of a key, which it creates in the cache if needed. Other
// processes may use it at the same time.
func Open(ctx context.Context, c *cache.Cache, key string) (*Entry, error) {
	w, err := c.Work(ctx, kind, key, true, nil)
	if err != nil {
		return nil, err
	}
	return &Entry{w}, nil
}

// Close allows the entry to be pruned.
func (s *Entry) Close() error { return s.work.Close() }

// Boot is the result of a kernel's boot, which a run records in addition to the cells.
type Boot struct {
	Millis float64  `json:"ms"` // as results.Kernel has it
	Splats []string `json:"splats,omitempty"`
	Taint  string   `json:"taint,omitempty"`
	// Console is the kernel's console output, Command the script that boots it.
	Console []byte `json:"console,omitempty"`
	Command []byte `json:"command,omitempty"`
}

// Boot returns the stored boot of the kernel.
func (s *Entry) Boot() (b Boot, ok bool) { return b, s.get(bootFile, &b) == nil }

// PutBoot stores the kernel's boot.
func (s *Entry) PutBoot(b Boot) error { return s.put(bootFile, b) }

// Cell returns the stored cell of a scenario, with the run that observed it
// (observe.Cell.ObservedBy). Its kernel has the name that it had in that run.
func (s *Entry) Cell(scenario string) (c observe.Cell, ok bool) {
	err := s.get(cache.Key(scenario), &c)
	return c, err == nil && c.Scenario == scenario && c.Verdict == observe.Expected && c.ObservedBy != "" &&
		len(c.Steps) > 0
}

// Put stores a cell that the named run observed, if it is as expected.
func (s *Entry) Put(c observe.Cell, run string) error {
	if c.Verdict != observe.Expected || c.ObservedBy != "" || c.Panicked {
		return nil
	}
	c.ObservedBy, c.Attempt = run, 0
	return s.put(cache.Key(c.Scenario), c)
}

// put writes a value after its digest, and renames the complete file. It does not sync:
// get detects a file that a power loss left incomplete, and the cell is then observed
// again.
func (s *Entry) put(name string, v any) error {
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
func (s *Entry) get(name string, v any) error {
	data, err := limitread.ReadFile(filepath.Join(s.work.Path, name), Most)
	if err != nil {
		return err
	}
	sum, value, _ := strings.Cut(string(data), "\n")
	if sum != digest([]byte(value)) {
		return errors.New("checksum mismatch")
	}
	return json.Unmarshal([]byte(value), v)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
