// Package program names programs of a user's that run as scenarios: which they are,
// and how the suite that runs them is told.
package program

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
)

const (
	// Suite is the suite that runs them.
	Suite = "programs"
	// IDs begins the id of each.
	IDs = "program/"
	// Env is the variable in which processes of the suite find them: a list in JSON.
	Env = "FAULTLINE_PROGRAMS"
)

// Program is a static program, and what it is called with.
type Program struct {
	Path   string   `json:"path"` // absolute, on this machine
	Args   []string `json:"args,omitempty"`
	SHA256 string   `json:"sha256"` // of the file
}

// New is the program in a file.
func New(path string, args ...string) (Program, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Program{}, err
	}
	sum, err := cache.FileSum(path)
	return Program{path, args, sum}, err
}

// Name is the file's name.
func (p Program) Name() string { return filepath.Base(p.Path) }

// Command is the program as it is called, by its name.
func (p Program) Command() string { return strings.Join(append([]string{p.Name()}, p.Args...), " ") }

var others = regexp.MustCompile(`[^a-z0-9]+`)

// ID is the id of its scenario: "program/memory-failure".
func (p Program) ID() string {
	words := strings.Trim(others.ReplaceAllString(strings.ToLower(p.Command()), "-"), "-")
	if words == "" {
		words = p.SHA256[:12]
	}
	return IDs + words
}

// Use has this process's suites run programs.
func Use(list []Program) error {
	seen := map[string]Program{}
	for _, p := range list {
		if other, twice := seen[p.ID()]; twice {
			return errkind.Requestf("%s and %s would be one scenario, %s; rename one", other.Path, p.Path, p.ID())
		}
		seen[p.ID()] = p
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return os.Setenv(Env, string(text))
}

// Used are the programs that Use was told of, in this process or the one that
// started it.
func Used() (list []Program, err error) {
	text := os.Getenv(Env)
	if text == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("%s: %w", Env, err)
	}
	return list, nil
}
