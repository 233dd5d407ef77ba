// Package scenario describes scenarios as data: id, requirements, the changes that they
// depend on, and the events that a suite process sends. It runs nothing and does not
// depend on Ginkgo.
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

// Info is the description of a scenario, known without running it.
type Info struct {
	ID        string   `json:"id"`    // "dax/ext4/shared-read"
	Doc       string   `json:"doc"`   // what the scenario shows, as a sentence
	Suite     string   `json:"suite"` // the suite's name
	Needs     []string `json:"needs,omitempty"`
	Changes   []string `json:"changes,omitempty"`
	Catalogue []string `json:"catalogue,omitempty"`
	Skipped   string   `json:"skipped,omitempty"` // why no kernel can run it
	Lead      bool     `json:"lead,omitempty"`
	TCG       string   `json:"tcg,omitempty"` // why its guest always runs under TCG
	Labels    []string `json:"labels"`        // for Ginkgo's filters
	// Program is the user's program that it runs; nil for a built-in scenario.
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

// NeedsTCG returns why the scenario is skipped where guests cannot run under TCG, for the
// reason lacks; "" if it is not skipped.
func (i Info) NeedsTCG(lacks error) string {
	if i.TCG == "" || lacks == nil {
		return ""
	}
	return fmt.Sprintf("it needs TCG (%s), and %v", i.TCG, lacks)
}

var idForm = regexp.MustCompile(`^[a-z0-9-]+(/[a-z0-9-]+)+$`)

// CheckID returns an error if an id is not lower-case words separated by slashes.
func CheckID(id string) error {
	if !idForm.MatchString(id) {
		return fmt.Errorf("scenario id %q: want lower-case words separated by slashes", id)
	}
	return nil
}

// labelID is the key of the label that identifies a scenario.
const labelID = "id"

// LabelsOf returns the labels of the scenario's spec, for Ginkgo's filters. A label is a
// key and a value. Ginkgo allows no slash and few other characters in it, so that slashes
// of an id become dots; in general a value cannot be read back.
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
	add("skipped", i.Skipped)
	if i.Lead {
		add("lead", "true")
	}
	add("tcg", i.TCG)
	return labels
}

var signs = strings.NewReplacer("/", ".", ",", ";", "(", "[", ")", "]", "&", "+", "|", ";", "!", ".", ":", ";")

func label(key, value string) string { return key + ":" + signs.Replace(value) }

// IDOf returns the id of the scenario with these labels, or "".
func IDOf(labels []string) string {
	for _, l := range labels {
		if dotted, ok := strings.CutPrefix(l, labelID+":"); ok {
			return strings.ReplaceAll(dotted, ".", "/") // an id has no dot
		}
	}
	return ""
}

// Filter returns a Ginkgo label filter that selects exactly these scenarios.
func Filter(ids []string) string {
	dotted := make([]string, len(ids))
	for i, id := range ids {
		dotted[i] = signs.Replace(id)
	}
	return labelID + ": containsAny {" + strings.Join(dotted, ", ") + "}"
}

// Event is a message from a suite process to its parent: one JSON value per line on the
// given descriptor.
type Event struct {
	Started  string        `json:"started,omitempty"`  // a scenario's id
	Finished *observe.Cell `json:"finished,omitempty"` // its cell
	// The other fields are sent only if the scenario is followed.

	// Guest is the QEMU command of a guest that was started for it.
	Guest []string `json:"guest,omitempty"`
	// Step is a step, as it is taken, before its expectation is known.
	Step *observe.Step `json:"step,omitempty"`
	// Paused reports that it waits for a line on its descriptor.
	Paused *Paused `json:"paused,omitempty"`
}

// Paused is a scenario that waits, with its guest open for debugging.
type Paused struct {
	Taken int `json:"taken"` // steps taken so far
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

// listMark begins the line with a suite's list in the output of a test runner.
const listMark = "faultline-scenarios: "

// PrintList returns the text in which a suite process lists its scenarios.
func PrintList(list []Info) (string, error) {
	data, err := json.Marshal(list)
	return "\n" + listMark + string(data) + "\n", err
}

// ReadList finds the list in the output of a suite process; found is false if there is
// none.
func ReadList(printed string) (list []Info, found bool, err error) {
	for line := range strings.Lines(printed) {
		if data, ok := strings.CutPrefix(line, listMark); ok {
			if err := json.Unmarshal([]byte(data), &list); err != nil {
				return nil, true, fmt.Errorf("read the list of scenarios: %w", err)
			}
			return list, true, nil
		}
	}
	return nil, false, nil
}
