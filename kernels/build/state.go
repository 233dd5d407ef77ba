package build

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// state is what a build directory records for the next build in it.
type state struct {
	// Decided is the key of everything that determined its configuration; Config is
	// the key of the result.
	Decided, Config string
	// Whole means that everything was compiled once: what make has to do can then be
	// derived from the existing files.
	Whole bool
}

const stateName = ".faultline"

func (b *Build) state() (s state) {
	data, err := os.ReadFile(filepath.Join(b.Objects, stateName))
	if err != nil || json.Unmarshal(data, &s) != nil {
		return state{}
	}
	return s
}

func (b *Build) keep(s state) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.Objects, stateName), data, 0o644)
}
