package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// state is what a lab keeps between its starts.
type state struct {
	From string `json:"from"` // the time of the last event that was handled
	// Taken are the last jobs that were handled. The API may repeat events.
	Taken []string `json:"taken"`
	Work  *work    `json:"work,omitempty"` // the job in progress
}

const (
	stateFile = "lab.json"
	mostTaken = 10_000
	beginning = "1970-01-01T00:00:00.000000"
)

func (l *lab) stateFile() string { return filepath.Join(l.Out, stateFile) }

// load reads the state of an earlier start.
func (l *lab) load() error {
	if err := os.MkdirAll(l.Out, 0o755); err != nil {
		return err
	}
	l.state.From = beginning
	data, err := os.ReadFile(l.stateFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil:
		err = json.Unmarshal(data, &l.state)
	}
	if err != nil {
		return fmt.Errorf("read the state of the lab: %w; remove %s to begin with the first event", err, l.stateFile())
	}
	return nil
}

func (l *lab) save() error {
	data, err := json.Marshal(l.state)
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(l.stateFile(), data, 0o644); err != nil {
		return fmt.Errorf("write the state of the lab: %w", err)
	}
	return nil
}

// taken records that a job was handled.
func (l *lab) taken(id string) error {
	l.state.Taken = append(l.state.Taken, id)
	if n := len(l.state.Taken) - mostTaken; n > 0 {
		l.state.Taken = l.state.Taken[n:]
	}
	return l.save()
}

// drop ends the work on the job in progress.
func (l *lab) drop() error {
	l.state.Work = nil
	return l.save()
}
