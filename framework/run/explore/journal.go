package explore

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/internal/errkind"
)

// JournalFile is the file in an exploration's folder with everything that was observed, one
// JSON value per line, written as soon as it is known.
const JournalFile = "journal.jsonl"

// Header identifies an exploration: one that is resumed must have the same.
type Header struct {
	Schema string `json:"schema"`
	Tool   string `json:"tool"`
	// Seed selects the programs, About the places that they use, and Known whether known
	// changes explain differences, which decides from which programs new ones are made.
	Seed    uint64   `json:"seed"`
	About   []string `json:"about,omitempty"`
	Known   bool     `json:"known"`
	Kernels []string `json:"kernels"`      // name, digest and accelerator
	QEMU    string   `json:"qemu"`         // version and digest
	CPU     string   `json:"cpu"`          // of the host, with KVM
	Suite   string   `json:"suite_digest"` // of the program that contains the suite
}

const schema = "faultline.explore/1"

// entry is a line of the journal; one field is set.
type entry struct {
	Header *Header       `json:"header,omitempty"`
	Cell   *observe.Cell `json:"cell,omitempty"`
}

// journal is the journal of an exploration, open for writing.
type journal struct {
	file *os.File
	end  int64
}

// place is where a line is in the journal.
type place struct{ at, length int64 }

// openJournal creates the journal in a folder, or opens an existing one and passes on its
// cells. A line that is damaged is passed to bad, and is then observed again.
func openJournal(
	dir string, h *Header, resume bool, cell func(observe.Cell, place), bad func(line int, err error),
) (*journal, error) {
	path := filepath.Join(dir, JournalFile)
	flags := os.O_RDWR | os.O_APPEND
	if !resume {
		flags |= os.O_CREATE | os.O_EXCL
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(path, flags, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, errkind.Requestf("%s has an exploration; continue it with --resume, or give another --out", dir)
	case resume && errors.Is(err, fs.ErrNotExist):
		return nil, errkind.Requestf("%s has no exploration to continue; omit --resume", dir)
	case err != nil:
		return nil, err
	}
	j := &journal{file: f}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, errkind.Requestf("%s is in use by another exploration", dir)
	}
	if err := j.load(h, cell, bad); err != nil {
		f.Close()
		return nil, err
	}
	return j, nil
}

func (j *journal) load(h *Header, cell func(observe.Cell, place), bad func(int, error)) error {
	in := bufio.NewReader(j.file)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) { // a last line without its end was being written
			break
		}
		if err != nil {
			return err
		}
		var e entry
		err = json.Unmarshal(bytes.TrimSpace(line), &e)
		switch {
		case n == 1 && (err != nil || e.Header == nil):
			return errkind.Requestf("%s is not the journal of an exploration; give another --out", j.file.Name())
		case n == 1:
			if why := h.unlike(*e.Header); why != "" {
				dir := filepath.Dir(j.file.Name())
				return errkind.Requestf("%s was begun with %s; give the same, or another --out", dir, why)
			}
			h.Seed = e.Header.Seed
		case err == nil && e.Cell == nil:
			bad(n, errors.New("no cell"))
		case err != nil:
			bad(n, err)
		default:
			cell(*e.Cell, place{j.end, int64(len(line))})
		}
		j.end += int64(len(line))
	}
	if err := j.file.Truncate(j.end); err != nil {
		return err
	}
	if j.end > 0 {
		return nil
	}
	_, err := j.write(entry{Header: h})
	return err
}

// unlike returns what differs from the header of an existing journal; empty if nothing. A
// seed of 0 stands for any.
func (h Header) unlike(old Header) string {
	if h.Seed == 0 {
		h.Seed = old.Seed
	}
	for _, f := range []struct {
		name      string
		now, then any
	}{
		{"the schema", h.Schema, old.Schema},
		{"the kernels", h.Kernels, old.Kernels},
		{"--seed", h.Seed, old.Seed},
		{"--about", h.About, old.About},
		{"known changes", h.Known, old.Known},
		{"Faultline", h.Tool + " " + h.Suite, old.Tool + " " + old.Suite},
		{"QEMU", h.QEMU, old.QEMU},
		{"the processor", h.CPU, old.CPU},
	} {
		if now, then := fmt.Sprint(f.now), fmt.Sprint(f.then); now != then {
			return fmt.Sprintf("%s %s, not %s", f.name, then, now)
		}
	}
	return ""
}

// add appends a cell.
func (j *journal) add(c observe.Cell) (place, error) { return j.write(entry{Cell: &c}) }

// write appends a line with one write(2), so that a killed process leaves whole lines, or a
// last one without its end.
func (j *journal) write(e entry) (place, error) {
	line, err := json.Marshal(e)
	if err != nil {
		return place{}, err
	}
	p := place{j.end, int64(len(line)) + 1}
	n, err := j.file.Write(append(line, '\n'))
	j.end += int64(n)
	return p, err
}

// cell reads a cell.
func (j *journal) cell(p place) (observe.Cell, error) {
	line := make([]byte, p.length)
	if _, err := j.file.ReadAt(line, p.at); err != nil {
		return observe.Cell{}, err
	}
	var e entry
	if err := json.Unmarshal(bytes.TrimSpace(line), &e); err != nil || e.Cell == nil {
		return observe.Cell{}, fmt.Errorf("%s, at byte %d: not a cell: %w", j.file.Name(), p.at, err)
	}
	return *e.Cell, nil
}
