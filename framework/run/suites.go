package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/execx"
)

// ErrNoSuites says that there are no compiled suites to run.
var ErrNoSuites = errors.New("no compiled suites; run make build, and keep bin/ together")

// listLimit bounds the listing of a suite, which starts no guest.
const listLimit = time.Minute

// Suites asks the compiled suites what they hold: those in the folder suites/
// beside our executable, where make build puts them. A scenario's id that two
// of them use is an error.
func Suites(ctx context.Context) ([]plan.Suite, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(filepath.Dir(exe), "suites")
	binaries, err := fs.Glob(os.DirFS(dir), "*.test")
	if err != nil {
		return nil, err
	}
	if len(binaries) == 0 {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoSuites)
	}
	var suites []plan.Suite
	owner := map[string]string{}
	for _, b := range binaries {
		s := plan.Suite{Name: strings.TrimSuffix(b, ".test"), Binary: filepath.Join(dir, b)}
		if s.Name == program.Suite {
			s.Inputs = os.Getenv(program.Env) // with the programs' digests
		}
		if s.Scenarios, err = scenarios(ctx, s.Binary); err != nil {
			return nil, fmt.Errorf("list the scenarios of %s: %w; run make build", s.Binary, err)
		}
		for _, i := range s.Scenarios {
			if other := owner[i.ID]; other != "" {
				return nil, fmt.Errorf("scenario %s is in the suites %s and %s; give one of them another id", i.ID, other, s.Name)
			}
			owner[i.ID] = s.Name
		}
		suites = append(suites, s)
	}
	return suites, nil
}

// digests are those (SHA-256) of the suites that have a picked scenario, by name.
func digests(suites []plan.Suite, picked []scenario.Info) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range suites {
		if !slices.ContainsFunc(picked, func(i scenario.Info) bool { return i.Suite == s.Name }) {
			continue
		}
		sum, err := cache.FileSum(s.Binary)
		if err != nil {
			return out, err
		}
		out[s.Name] = sum
	}
	return out, nil
}

// scenarios asks one suite, in the order of the ids.
func scenarios(ctx context.Context, binary string) ([]scenario.Info, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, listLimit, fmt.Errorf("no answer within %v", listLimit))
	defer cancel()
	out, err := execx.Command(ctx, "", nil, binary, "-test.run=.", "--faultline.list").CombinedOutput()
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	infos, found, err := scenario.ReadList(string(out))
	if err == nil && !found {
		err = errors.New("it printed no list")
	}
	sort.Slice(infos, func(i, j int) bool { return infos[i].ID < infos[j].ID })
	return infos, err
}
