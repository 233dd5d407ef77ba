// Package exttest finds, for tests, programs and files that others wrote to read
// what is written here. What is not there skips the test, and says where it is to be had.
package exttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Folder is the environment variable that names the folder of readers that are
// in no package of the system's. docs/reference/formats.md and docs/guides/pipelines.md say what belongs into it.
const Folder = "FAULTLINE_READERS"

// File is the path of a reader in Folder.
func File(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(os.Getenv(Folder), name)
	if _, err := os.Stat(path); os.Getenv(Folder) == "" || err != nil {
		t.Skipf("no reader %s in the folder of %s; docs/reference/formats.md or docs/guides/pipelines.md says where it comes from", name, Folder)
	}
	return path
}

// Program is the path of a program that reads.
func Program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no program %s; docs/reference/formats.md or docs/guides/pipelines.md says which package has it", name)
	}
	return path
}

// Temp is a file with what is to be read.
func Temp(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
