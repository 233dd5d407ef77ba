package build

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// state is what a folder of objects says of itself to the next build in it.
type state struct {
	// Decided is the key of all that decided its configuration, Config that of
	// what came out.
	Decided, Config string
	// Whole says that all was compiled once: what make has to do then shows in the
	// files that are there.
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
