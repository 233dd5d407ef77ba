// Package program describes programs of the user that run as scenarios. It runs nothing.
package program

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
)

const (
	// Suite is the suite that runs them.
	Suite = "programs"
	// IDs is the prefix of their ids.
	IDs = "program/"
)

// Program is a static program with its arguments.
type Program struct {
	Path   string   `json:"path"` // absolute, on this machine
	Args   []string `json:"args,omitempty"`
	SHA256 string   `json:"sha256"` // of the file
}

// New returns the program in a file.
func New(path string, args ...string) (Program, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Program{}, err
	}
	sum, err := cache.FileSum(path)
	return Program{path, args, sum}, err
}

// Name returns the base name of the file.
func (p Program) Name() string { return filepath.Base(p.Path) }

// Command returns the program's name and arguments.
func (p Program) Command() string { return strings.Join(append([]string{p.Name()}, p.Args...), " ") }

var others = regexp.MustCompile(`[^a-z0-9]+`)

// ID returns the id of its scenario: "program/memory-failure".
func (p Program) ID() string {
	words := strings.Trim(others.ReplaceAllString(strings.ToLower(p.Command()), "-"), "-")
	if words == "" {
		words = p.SHA256[:12]
	}
	return IDs + words
}

// Check returns an error if two programs would have the same scenario id.
func Check(list []Program) error {
	seen := map[string]Program{}
	for _, p := range list {
		if other, twice := seen[p.ID()]; twice {
			return errkind.Requestf("%s and %s would have the same scenario id %s; rename one", other.Path, p.Path, p.ID())
		}
		seen[p.ID()] = p
	}
	return nil
}
