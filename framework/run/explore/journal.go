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
	Schema   string   `json:"schema"`
	Tool     string   `json:"tool"`
	Seed     uint64   `json:"seed"`
	About    []string `json:"about,omitempty"`
	Kernels  []string `json:"kernels"` // name and digest
	QEMU     string   `json:"qemu"`
	Programs string   `json:"programs"` // digest of the program that contains the suite
}

const schema = "faultline.explore/1"

// entry is a line of the journal; one field is set.
type entry struct {
	Header *Header `json:"header,omitempty"`
	// Same is the id of a program for which all kernels show the same.
	Same string `json:"same,omitempty"`
	// Cells are those of a program whose kernels show different things, or whose cell of one
	// kernel cannot be compared.
	Cells []observe.Cell `json:"cells,omitempty"`
}

// journal is the journal of an exploration, open for writing.
type journal struct {
	file *os.File
	// same are the programs that were the same on all kernels, cells those of the others, by
	// program and attempt.
	same  map[string]bool
	cells map[key][]observe.Cell
}

// key identifies the observation of a program on all kernels.
type key struct {
	program string
	attempt int
}

// openJournal creates the journal in a folder, or reads an existing one if resume is set.
func openJournal(dir string, h Header, resume bool) (*journal, error) {
	path := filepath.Join(dir, JournalFile)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	flags := os.O_RDWR | os.O_APPEND | os.O_CREATE
	if !resume {
		flags |= os.O_EXCL
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, errkind.Requestf("%s has an exploration; continue it with --resume, or give another --out", dir)
	}
	if err != nil {
		return nil, err
	}
	j := &journal{file: f, same: map[string]bool{}, cells: map[key][]observe.Cell{}}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, errkind.Requestf("%s is in use by another exploration", dir)
	}
	if err := j.load(h); err != nil {
		f.Close()
		return nil, err
	}
	return j, nil
}

func (j *journal) load(h Header) error {
	in := bufio.NewReader(j.file)
	good, first := int64(0), true
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) { // a last line without its end was being written
			break
		}
		if err != nil {
			return err
		}
		var e entry
		if err := json.Unmarshal(bytes.TrimSpace(line), &e); err != nil {
			return fmt.Errorf("%s, at byte %d: %w", j.file.Name(), good, err)
		}
		good += int64(len(line))
		switch {
		case first:
			if why := h.unlike(e.Header); why != "" {
				dir := filepath.Dir(j.file.Name())
				return errkind.Requestf("%s was begun with %s; give the same, or another --out", dir, why)
			}
			first = false
		case e.Same != "":
			j.same[e.Same] = true
		case len(e.Cells) > 0:
			j.cells[key{e.Cells[0].Scenario, e.Cells[0].Attempt}] = e.Cells
		}
	}
	if err := j.file.Truncate(good); err != nil {
		return err
	}
	if first {
		return j.write(entry{Header: &h})
	}
	return nil
}

// unlike returns what differs from the header of an existing journal; empty if nothing.
func (h Header) unlike(old *Header) string {
	if old == nil {
		return "another version of Faultline"
	}
	for _, f := range []struct{ name, now, then string }{
		{"schema", h.Schema, old.Schema},
		{"the kernels", fmt.Sprint(h.Kernels), fmt.Sprint(old.Kernels)},
		{"--seed", fmt.Sprint(h.Seed), fmt.Sprint(old.Seed)},
		{"--about", fmt.Sprint(h.About), fmt.Sprint(old.About)},
		{"Faultline", h.Tool + " " + h.Programs, old.Tool + " " + old.Programs},
		{"QEMU", h.QEMU, old.QEMU},
	} {
		if f.now != f.then {
			return fmt.Sprintf("%s %s, not %s", f.name, f.then, f.now)
		}
	}
	return ""
}

// write appends a line with one write(2), so that a killed process leaves whole lines, or a
// last one without its end.
func (j *journal) write(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = j.file.Write(append(line, '\n'))
	return err
}
