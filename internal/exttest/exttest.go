// Package exttest finds external programs and files that tests run to check the output
// of Faultline, such as other parsers of its formats. If one is not installed, it skips
// the test with a reference to the page that lists its source. It installs nothing.
package exttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Folder is the environment variable for the folder of parsers that the system has no
// packages of. CONTRIBUTING.md lists its content.
const Folder = "FAULTLINE_READERS"

// File returns the path of a file in Folder.
func File(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(os.Getenv(Folder), name)
	if _, err := os.Stat(path); os.Getenv(Folder) == "" || err != nil {
		t.Skipf("no %s in the folder of %s; see CONTRIBUTING.md", name, Folder)
	}
	return path
}

// Program returns the path of an installed program.
func Program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed; CONTRIBUTING.md has its package", name)
	}
	return path
}

// Temp returns the path of a temporary file with the content.
func Temp(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
