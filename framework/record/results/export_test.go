package results

import "fmt"

// What the tests of package results_test need beyond its interface. They are in a package
// of their own because they judge runs: package judge imports results.

const (
	KernelsDir = kernelsDir
	KeyFile    = keyFile
	MaxConsole = maxConsole
	Inexact    = inexact
)

var (
	Parse    = parse
	Encode   = encode
	ReadCell = readCell
)

// FolderAt returns a folder that is not opened.
func FolderAt(dir string) *Folder { return &Folder{dir: dir} }

// NewInstallation returns the installation with a key.
func NewInstallation(key []byte) Installation { return Installation{key} }

// Upgrade reads a document as one of the current schema, without judging it.
func Upgrade(doc []byte) (r Run, upgraded bool, err error) {
	d, err := newDocument(doc)
	if err != nil {
		return Run{}, false, err
	}
	if upgraded, err = d.upgrade(); err != nil {
		return Run{}, false, err
	}
	r, err = d.read()
	return r, upgraded, err
}

// Join merges runs without their folders. It returns false if they cannot be merged.
func Join(judge Judge, runs ...Run) (Run, bool) {
	m := merger{judge: judge, cells: map[string]placed{}}
	for i, r := range runs {
		m.join(r, r.Cells, FolderAt(fmt.Sprint(i)))
	}
	if len(m.problems) > 0 {
		return Run{}, false
	}
	return m.finish(), true
}
