package results

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/internal/limitread"
)

// A folder may come from an untrusted source, so reads are bounded, in bytes, and no link
// out of it is followed. A cell has some 10 KiB, a run of 5,000 cells 40 MiB; a console
// has at most 16 MiB (package vm).
const (
	maxCell    = 16 << 20
	maxRun     = 128 << 20
	maxConsole = 64 << 20
	// maxFiles bounds the total size of the consoles and the like copied from one folder.
	maxFiles = 4 << 30
)

// ReadFile reads a file of the run, given relative to the folder, of at most most bytes.
func (f *Folder) ReadFile(rel string, most int64) ([]byte, error) {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	b, err := limitread.ReadFileIn(root, rel, most)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s: %w", f.dir, err)
	}
	return b, err
}

// Open opens a file of the run for reading, given relative to the folder.
func (f *Folder) Open(rel string) (*os.File, error) {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return limitread.OpenIn(root, rel)
}

// Skipped is a file among the cells that is not a cell.
type Skipped struct {
	Path   string // relative to the run's folder
	Reason string
}

// String returns the file and why it was skipped.
func (s Skipped) String() string { return s.Path + ": " + s.Reason }

// Cells reads the cells in the folder, sorted by kernel folder and file name. Files that
// are not cells of this run (incomplete, foreign) are skipped and returned.
func (f *Folder) Cells() ([]observe.Cell, []Skipped, error) {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return nil, nil, fmt.Errorf("list cells: %w", err)
	}
	defer root.Close()
	kernels, err := names(root, kernelsDir)
	if err != nil {
		return nil, nil, fmt.Errorf("list cells of %s: %w", f.dir, err)
	}
	var cells []observe.Cell
	var skipped []Skipped
	left := int64(maxRun)
	for _, kernel := range kernels {
		dir := filepath.Join(kernelsDir, kernel, cellsDir)
		files, err := names(root, dir)
		if err != nil {
			skipped = append(skipped, Skipped{Path: dir, Reason: reason(err).Error()})
		}
		for _, name := range files {
			rel := filepath.Join(dir, name)
			c, size, err := loadCell(root, rel)
			if left -= size; left < 0 || len(cells)+len(skipped) > mostCells {
				return nil, nil, fmt.Errorf("read cells of %s: more than %d cells or %s",
					f.dir, mostCells, humanize.IBytes(maxRun))
			}
			if err != nil {
				skipped = append(skipped, Skipped{Path: rel, Reason: err.Error()})
				continue
			}
			cells = append(cells, c)
		}
	}
	return cells, skipped, nil
}

// names lists a folder below a root, sorted; nil if there is no such folder.
func names(root *os.Root, dir string) ([]string, error) {
	d, err := root.OpenFile(dir, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	info, err := d.Stat()
	if err != nil || !info.IsDir() {
		return nil, err
	}
	list, err := d.Readdirnames(-1)
	slices.Sort(list)
	return list, err
}

// loadCell reads a cell's file, and returns its size in bytes.
func loadCell(root *os.Root, rel string) (c observe.Cell, size int64, err error) {
	if strings.HasPrefix(filepath.Base(rel), tmpPrefix) {
		return c, 0, errors.New("incomplete")
	}
	b, err := limitread.ReadFileIn(root, rel, maxCell)
	if err != nil {
		return c, 0, reason(err)
	}
	if c, err = readCell(b); err == nil && CellFile(c) != rel {
		err = fmt.Errorf("contains %s on %s, which belongs in %s", c.Scenario, c.Kernel, CellFile(c))
	}
	return c, int64(len(b)), err
}
