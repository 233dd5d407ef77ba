// Package scenario is what a scenario is, as data: its id, what it needs of a
// kernel, which changes it tells of, and what the process of its suite tells of
// it. It runs nothing, and takes no Ginkgo to read.
package scenario

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/program"
)

// Info is what is known of a scenario without running it.
type Info struct {
	ID        string   `json:"id"`    // "dax/ext4/shared-read"
	Doc       string   `json:"doc"`   // what the scenario shows, as a sentence
	Suite     string   `json:"suite"` // the suite's name
	Needs     []string `json:"needs,omitempty"`
	Changes   []string `json:"changes,omitempty"`
	Catalogue []string `json:"catalogue,omitempty"`
	NotDoable string   `json:"not_doable,omitempty"` // why it can be done on no kernel
	Lead      bool     `json:"lead,omitempty"`
	TCG       string   `json:"tcg,omitempty"` // why its guest runs under TCG whatever the run uses
	Labels    []string `json:"labels"`        // as Ginkgo's filters see them
	// Program is the program of a user's that it runs; nil for a scenario of ours.
	Program *program.Program `json:"program,omitempty"`
}

// Accel returns the accelerator of the scenario's guest in a run whose guests use
// accel: "tcg" or "kvm".
func (i Info) Accel(accel string) string {
	if i.TCG != "" {
		return "tcg"
	}
	return accel
}

var idForm = regexp.MustCompile(`^[a-z0-9-]+(/[a-z0-9-]+)+$`)

// CheckID refuses an id that is not lower case words divided by slashes.
func CheckID(id string) error {
	if !idForm.MatchString(id) {
		return fmt.Errorf("scenario id %q: want lower case words divided by slashes", id)
	}
	return nil
}

// labelID begins the label that names a scenario.
const labelID = "id"

// LabelsOf are the labels of the scenario's spec, by which Ginkgo's own filters
// know it. A label is a key and a value in which Ginkgo allows no slash and few
// other signs, so that an id has dots there: for a filter, not to be read back.
func LabelsOf(i Info) []string {
	labels := []string{label(labelID, i.ID)}
	add := func(key string, values ...string) {
		for _, v := range values {
			if l := label(key, v); v != "" && !slices.Contains(labels, l) {
				labels = append(labels, l)
			}
		}
	}
	add("needs", i.Needs...)
	add("change", i.Changes...)
	add("catalogue", i.Catalogue...)
	add("not-doable", i.NotDoable)
	if i.Lead {
		add("lead", "true")
	}
	add("tcg", i.TCG)
	return labels
}

var signs = strings.NewReplacer("/", ".", ",", ";", "(", "[", ")", "]", "&", "+", "|", ";", "!", ".", ":", ";")

func label(key, value string) string { return key + ":" + signs.Replace(value) }

// IDOf is the id of the scenario with these labels, "" where they are of none.
func IDOf(labels []string) string {
	for _, l := range labels {
		if dotted, ok := strings.CutPrefix(l, labelID+":"); ok {
			return strings.ReplaceAll(dotted, ".", "/") // an id has no dot
		}
	}
	return ""
}

// Filter is a Ginkgo label filter that takes exactly these scenarios.
func Filter(ids []string) string {
	dotted := make([]string, len(ids))
	for i, id := range ids {
		dotted[i] = signs.Replace(id)
	}
	return labelID + ": containsAny {" + strings.Join(dotted, ", ") + "}"
}

// Event is what a suite's process tells the one that started it, a JSON value a
// line on the descriptor that it was given.
type Event struct {
	Started  string        `json:"started,omitempty"`  // a scenario's id
	Finished *observe.Cell `json:"finished,omitempty"` // its cell
	// What follows is told to who follows a scenario only.

	// Guest is the QEMU command of a guest that was started for it.
	Guest []string `json:"guest,omitempty"`
	// Step is one that was taken, as it is taken: what is expected of it is not
	// known yet.
	Step *observe.Step `json:"step,omitempty"`
	// Paused says that it waits for a line on its descriptor.
	Paused *Paused `json:"paused,omitempty"`
}

// Paused is a scenario that waits, with its guest open for a person.
type Paused struct {
	Taken int `json:"taken"` // how many steps it has taken
	DebugEndpoints
}

// DebugEndpoints are the ways into a guest for a person, from this machine only.
type DebugEndpoints struct {
	// SSH is a command that opens a shell in the guest; a command after it runs there.
	SSH []string `json:"ssh"`
	// QMP is the socket of QEMU's monitor, GDB that of its gdb stub, which stops the
	// guest while a client is connected.
	QMP string `json:"qmp"`
	GDB string `json:"gdb"`
	// Symbols is an ELF file with the symbols of the running kernel and its modules.
	Symbols string `json:"symbols"`
}

// listMark begins the line with a suite's list, among what a test runner prints.
const listMark = "faultline-scenarios: "

// PrintList is what a suite's process prints when it is asked what it holds.
func PrintList(list []Info) (string, error) {
	data, err := json.Marshal(list)
	return "\n" + listMark + string(data) + "\n", err
}

// ReadList finds the list in what a suite's process printed; found is false where
// there is none.
func ReadList(printed string) (list []Info, found bool, err error) {
	for line := range strings.Lines(printed) {
		if data, ok := strings.CutPrefix(line, listMark); ok {
			if err := json.Unmarshal([]byte(data), &list); err != nil {
				return nil, true, fmt.Errorf("read its list: %w", err)
			}
			return list, true, nil
		}
	}
	return nil, false, nil
}
