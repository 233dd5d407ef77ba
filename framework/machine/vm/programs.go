package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/execx"
)

// module is the path of this module, whose guest programs Go can build.
const module = "github.com/faultline/faultline"

// findPrograms finds the programs that run in guests: in the folder guest/ beside the
// executable or one above it (make build leaves them in bin/; a package installs both
// into one folder), else built by the local Go from the module: in the version that the
// executable was installed with (go install MODULE/cmd/faultline@VERSION), or else from
// the module's source tree if the process runs in it, as tests do.
func (r *Host) findPrograms(ctx context.Context, arch string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	for _, up := range []string{".", ".."} {
		dir := filepath.Join(filepath.Dir(exe), up, "guest")
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if err := r.usePrograms(dir); err != nil {
			return &GuestError{
				Kind: HostFailed, Doing: "find the guest's programs", Err: err,
				Hint: "run make build, or install Faultline again: the folder is of another version",
			}
		}
		return nil
	}
	version := installed()
	if version == "" {
		return r.buildFromTree(ctx, arch)
	}
	entry, err := r.Cache.Get(
		ctx,
		"guest",
		cache.Key("programs", version, arch),
		func(ctx context.Context, dir string) error {
			return goInstall(ctx, dir, arch, version)
		},
	)
	if err != nil {
		return err
	}
	r.programs = entry
	return r.usePrograms(entry.Path)
}

// buildFromTree builds the programs from the source tree in which the process runs.
func (r *Host) buildFromTree(ctx context.Context, arch string) error {
	root := sourceTree(ctx)
	if root == "" {
		return &GuestError{Kind: HostFailed, Doing: "find the guest's programs",
			Err:  errors.New("there is no folder guest/ beside this executable, and it has no version to build them from"),
			Hint: "run make build, and keep bin/ together, or install with go install " + module + "/cmd/faultline@VERSION"}
	}
	dir := filepath.Join(r.dir, "guest")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := goBuild(ctx, root, arch, nil, "build", "-o", dir+"/", "./guest/init", "./guest/agent"); err != nil {
		return err
	}
	if err := goBuild(ctx, root, "386", nil, "build", "-o", dir+"/", "./guest/victim32"); err != nil {
		return err
	}
	return r.usePrograms(dir)
}

// sourceTree returns the root of this module's source tree if the process runs in it,
// else "". With a go.work, Go lists one module a line.
func sourceTree(ctx context.Context) string {
	out, err := execx.Ask(ctx, 30*time.Second, "go", "list", "-m", "-f", "{{.Path}} {{.Dir}}")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(out)) {
		if dir, ours := strings.CutPrefix(strings.TrimSpace(line), module+" "); ours {
			return dir
		}
	}
	return ""
}

// installed returns the version of the module that go install built this executable
// from; "" for one that was built in a source tree.
func installed() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return versionOf(info)
}

// versionOf returns the version of an executable that go install built from a module
// proxy. go build stamps a version, too, and the commit of the source tree with it.
func versionOf(info *debug.BuildInfo) string {
	inTree := slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "vcs.revision" })
	if info.Main.Path != module || !strings.HasPrefix(info.Main.Version, "v") || inTree {
		return ""
	}
	return info.Main.Version
}

func (r *Host) usePrograms(dir string) (err error) {
	for name, p := range map[string]*program{"init": &r.init, "agent": &r.agent, "victim32": &r.victim32} {
		p.path = filepath.Join(dir, name)
		if p.digest, err = cache.FileSum(p.path); err != nil {
			return err
		}
	}
	return nil
}

// goInstall installs a version of the programs into dir. go install refuses to install a
// program for another architecture where GOBIN is set, so that one is built from the
// module's source.
func goInstall(ctx context.Context, dir, arch, version string) error {
	at := "@" + version
	err := goBuild(ctx, "", arch, []string{"GOBIN=" + dir}, "install", module+"/guest/init"+at, module+"/guest/agent"+at)
	if err != nil {
		return err
	}
	out, err := execx.Ask(ctx, 5*time.Minute, "go", "mod", "download", "-json", module+at)
	if err != nil {
		return fmt.Errorf("find the source of %s%s: %w", module, at, err)
	}
	var source struct{ Dir string }
	if err := json.Unmarshal(out, &source); err != nil {
		return fmt.Errorf("find the source of %s%s: %w", module, at, err)
	}
	return goBuild(ctx, source.Dir, "386", nil, "build", "-o", dir+"/", "./guest/victim32")
}

// goBuild has Go build programs for guests, with the flags of the Makefile, so that
// the same source gives the same bytes.
func goBuild(ctx context.Context, dir, arch string, env []string, command string, args ...string) error {
	env = append([]string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch, "GOFLAGS="}, env...)
	args = append([]string{command, "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="}, args...)
	if out, err := execx.Command(ctx, dir, env, "go", args...).CombinedOutput(); err != nil {
		return &GuestError{
			Kind:  HostFailed,
			Doing: "build the guest's programs",
			Err:   fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out))),
			Hint:  "install Go, or use an installation that has the folder guest/",
		}
	}
	return nil
}
