package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/framework/run/suite"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/execx"
)

// ErrNoSuites reports that this program links no suites.
var ErrNoSuites = errors.New("no suites are linked into this program; import package suites")

// listLimit bounds the listing of the suites, which starts no guest.
const listLimit = time.Minute

// Suites returns the suites that are linked into this program, in the order of
// their names, each with its scenarios in the order of their ids. They are listed
// by a process like those that observe. The user's programs are scenarios, too, and so are
// the generated programs with these ids.
func Suites(ctx context.Context, programs []program.Program, ids ...string) ([]plan.Suite, error) {
	exe, err := os.Executable()
	if err == nil && !suite.Linked() {
		err = ErrNoSuites
	}
	if err != nil {
		return nil, err
	}
	if err := program.Check(programs); err != nil {
		return nil, err
	}
	given, err := json.Marshal(programs)
	if err != nil {
		return nil, err
	}
	args := []string{suite.Subcommand}
	if len(programs) > 0 {
		args = append(args, "--faultline.programs="+string(given))
	}
	made := []string{suite.Subcommand}
	for _, id := range ids {
		made = append(made, "--faultline.generated="+id)
	}
	infos, err := scenarios(ctx, exe, slices.Concat(args, made[1:]))
	if err != nil {
		return nil, fmt.Errorf("list the scenarios: %w", err)
	}
	var suites []plan.Suite
	for _, i := range infos {
		at := slices.IndexFunc(suites, func(s plan.Suite) bool { return s.Name == i.Suite })
		if at < 0 {
			s := plan.Suite{Name: i.Suite, Program: exe, Args: []string{suite.Subcommand}}
			switch s.Name {
			case program.Suite:
				s.Args, s.Inputs = args, string(given) // with the programs' digests
			case generated.Suite:
				s.Args = made
			}
			at, suites = len(suites), append(suites, s)
		}
		suites[at].Scenarios = append(suites[at].Scenarios, i)
	}
	slices.SortFunc(suites, func(a, b plan.Suite) int { return strings.Compare(a.Name, b.Name) })
	return suites, nil
}

// digests returns the SHA-256 of each suite that has a picked scenario, by name.
func digests(suites []plan.Suite, picked []scenario.Info) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range suites {
		if !slices.ContainsFunc(picked, func(i scenario.Info) bool { return i.Suite == s.Name }) {
			continue
		}
		sum, err := cache.FileSum(s.Program)
		if err != nil {
			return out, err
		}
		out[s.Name] = sum
	}
	return out, nil
}

// scenarios returns the scenarios of a program's suites, sorted by id.
func scenarios(ctx context.Context, program string, args []string) ([]scenario.Info, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, listLimit, fmt.Errorf("no answer within %v", listLimit))
	defer cancel()
	out, err := execx.Command(ctx, "", nil, program, append(slices.Clone(args), "--faultline.list")...).CombinedOutput()
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	infos, found, err := scenario.ReadList(string(out))
	if err == nil && !found {
		err = errors.New("no list in its output")
	}
	sort.Slice(infos, func(i, j int) bool { return infos[i].ID < infos[j].ID })
	return infos, err
}
