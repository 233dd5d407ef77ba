// Package explore runs generated programs on two or more kernels and finds those on which the
// kernels differ. It observes each kernel against itself first, reduces a program to the
// smallest that shows a difference, and reports each difference once, with the number of
// programs that show it.
package explore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/observe"
)

// Options configure an exploration.
type Options struct {
	Header
	Kernels []Kernel    // each is compared with the first
	Known   change.List // the changes whose signatures explain differences
	Most    int         // how many programs to try; 0 for no limit
	For     time.Duration
	Out     string // the folder for the journal and the outcome
	Resume  bool
	// Log logs what was found, and Doing the current state, in a few words.
	Log   func(format string, args ...any)
	Doing func(what string)
}

// Kernel is a kernel of an exploration.
type Kernel struct {
	judge.Kernel
	Digest string
}

// Outcome is what an exploration has found so far.
type Outcome struct {
	Seed     uint64 `json:"seed"`
	Programs int    `json:"programs"` // that were tried: the sum of the following
	Same     int    `json:"same"`     // the kernels show the same
	Differ   int    `json:"differ"`
	Skipped  int    `json:"skipped"` // not possible on a kernel
	// Lost had an infrastructure failure twice, with the reason.
	Lost []Lost `json:"lost,omitempty"`
	// Unstable did not repeat on the same kernel, and Open were not examined before the
	// exploration ended. Neither is judged.
	Unstable []string `json:"unstable,omitempty"`
	Open     []string `json:"open,omitempty"`

	// Changes counts the programs in which a known change explains a difference, by its id.
	Changes  map[string]int `json:"changes,omitempty"`
	Findings []Finding      `json:"findings,omitempty"`
	// Interrupted reports that the exploration ended before its limits.
	Interrupted bool `json:"interrupted,omitempty"`
}

// Lost is a program that could not be judged.
type Lost struct {
	Program string `json:"program"`
	Why     string `json:"why"`
}

// batchSize is large enough that the cores are idle for a small part of the time, at the end
// of each batch.
const batchSize = 64

// attempts are the observations that confirm a difference, besides the first one, 0.
var attempts = []int{1, 2}

// Do explores until a limit is reached or ctx ends, and writes the outcome, also with an error.
func Do(ctx context.Context, lab Lab, opt Options) (Outcome, error) {
	opt.Schema = schema
	x := &explorer{observations: observations{
		Options: opt, lab: lab, seen: map[string]*seen{}, partly: map[key][]located{},
	}}
	x.out.Changes = map[string]int{}
	var err error
	x.journal, err = openJournal(opt.Out, &x.Header, opt.Resume, func(c observe.Cell, p place) {
		if c.Verdict == observe.Infra { // is observed again
			return
		}
		if err := x.take(c, p, true); err != nil {
			opt.Log("%s: a cell is ignored: %v", opt.Out, err)
		}
	}, func(line int, err error) {
		opt.Log("%s: line %d is damaged, and its cell is observed again: %v", filepath.Join(opt.Out, JournalFile), line, err)
	})
	if err != nil {
		return Outcome{}, err
	}
	defer x.journal.file.Close()
	x.out.Seed = x.Seed // with Resume, that of the journal
	x.generator = newGenerator(x.Seed, x.About)
	limit := ctx
	if opt.For > 0 {
		var cancel context.CancelFunc
		limit, cancel = context.WithTimeout(ctx, opt.For)
		defer cancel()
	}
	err = x.explore(limit)
	x.out.Interrupted = ctx.Err() != nil
	return x.out, errors.Join(err, x.write())
}

// explore tries batches of programs.
func (x *explorer) explore(ctx context.Context) error {
	for ctx.Err() == nil {
		n := batchSize
		if x.Most > 0 {
			n = min(n, x.Most-x.out.Programs)
		}
		programs := x.generator.next(n)
		if len(programs) == 0 {
			break
		}
		x.Doing(x.state())
		err := x.observe(ctx, programs, 0)
		for _, p := range programs {
			if err == nil {
				err = x.judge(ctx, p)
			}
			if err != nil && ctx.Err() == nil {
				return err
			}
			if err != nil {
				x.open(p)
			}
		}
	}
	return nil
}

// state describes in a line what was tried and found.
func (x *explorer) state() string {
	var by []string
	for _, c := range x.Known {
		if n := x.out.Changes[c.ID]; n > 0 {
			by = append(by, fmt.Sprintf("%s %d", c.ID, n))
		}
	}
	text := fmt.Sprintf("%s, %d differ", english.Plural(x.out.Programs, "program", ""), x.out.Differ)
	if len(by) > 0 {
		text += " (" + strings.Join(by, ", ") + ")"
	}
	return text + ", " + english.Plural(len(x.out.Findings), "finding", "")
}

// OutcomeFile is the file in an exploration's folder with its outcome as JSON.
const OutcomeFile = "outcome.json"

// write replaces the outcome's file.
func (x *explorer) write() error {
	data, err := json.MarshalIndent(x.out, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(x.Out, OutcomeFile)
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

type explorer struct {
	observations
	generator *generator
	out       Outcome
}

// open counts a program that could not be examined any more.
func (x *explorer) open(p generated.Program) {
	s := x.seen[p.ID()]
	if s == nil || s.pairs == nil { // it was not tried
		return
	}
	if !slices.ContainsFunc(s.pairs, func(one pair) bool { return one.status != same }) {
		x.out.Programs++
		x.out.Same++
		return
	}
	x.out.Programs++
	x.out.Open = append(x.out.Open, p.ID())
}

// judge counts a program, and attributes the differences between its cells.
func (x *explorer) judge(ctx context.Context, p generated.Program) error {
	s := x.seen[p.ID()]
	if s == nil || s.pairs == nil {
		return fmt.Errorf("%s: no cells were observed", p.ID())
	}
	var changes []string
	var findings []int
	count := map[status]int{}
	unstable := 0
	for i, one := range s.pairs {
		count[one.status]++
		found, stable, err := x.attribute(ctx, p, i)
		if err != nil {
			return err
		}
		if !stable {
			unstable++
			continue
		}
		findings = append(findings, found...)
		for _, id := range one.changes {
			changes = add(changes, id)
		}
	}
	x.out.Programs++
	for _, id := range changes {
		x.out.Changes[id]++
	}
	for _, i := range findings {
		x.out.Findings[i].Programs++
	}
	switch {
	case count[differ] > unstable:
		x.out.Differ++
	case unstable > 0:
		x.Log("%s does not repeat on one of the kernels; it is not judged", p.ID())
		x.out.Unstable = append(x.out.Unstable, p.ID())
	case count[lost] > 0:
		i := slices.IndexFunc(s.pairs, func(one pair) bool { return one.status == lost })
		x.out.Lost = append(x.out.Lost, Lost{p.ID(), s.pairs[i].why})
	case count[skipped] > 0:
		x.out.Skipped++
	default:
		x.out.Same++
	}
	return nil
}
