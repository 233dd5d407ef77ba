package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/execx"
)

// kept are the variables of git's that its environment has from the caller: which git
// is installed, and how it reaches a remote that a partial clone fetches from.
var kept = []string{"GIT_EXEC_PATH", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS"}

// fixed are the settings that change what git prints, or have it write into the
// repository (core.fsmonitor starts a daemon there). They outrank each file of
// configuration (git-config(1), GIT_CONFIG_COUNT). What decides whether a file is
// as committed (core.autocrlf, core.excludesFile, core.attributesFile) is the user's.
var fixed = []string{
	"color.ui=false", "log.showSignature=false", "i18n.logOutputEncoding=UTF-8", "core.quotePath=false", "core.fsmonitor=false",
	"advice.graftFileDeprecated=false", // environ names an empty one
}

// environ is the environment of each git that is started: none of the caller's
// variables that lead git to another repository, index, configuration or history
// (git rev-parse --local-env-vars, and those that merely change output). Replacement
// objects and grafts are the user's repository's alone, so nobody sees them. settings
// are added to fixed, as "name=value"; more are variables.
func environ(settings []string, more ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "GIT_") || slices.Contains(kept, name) || strings.HasPrefix(name, "GIT_SSL_") {
			env = append(env, v)
		}
	}
	env = append(env, "LC_ALL=C", // messages are read
		"GIT_TERMINAL_PROMPT=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_GRAFT_FILE="+os.DevNull)
	settings = append(fixed[:len(fixed):len(fixed)], settings...)
	env = append(env, fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(settings)))
	for i, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, name), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, value))
	}
	return append(env, more...)
}

// ours is the environment of a git that works on a repository of ours: no configuration
// of the user's or the machine's counts. Their attributes would convert what is taken in
// or checked out, and have files merged and compared by programs of theirs.
func ours(more ...string) []string {
	settings := []string{"core.attributesFile=" + os.DevNull, "core.excludesFile=" + os.DevNull}
	return environ(settings, append([]string{
		"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_SYSTEM=" + os.DevNull, "GIT_ATTR_NOSYSTEM=1",
	}, more...)...)
}

// Run runs git in a folder, on a repository that the caller makes, with in as its
// standard input, and returns what it prints, byte for byte. None of git's variables in
// our environment counts, and no configuration of the user's or the machine's; more are
// variables to set. A failure is a *execx.RunError.
func Run(ctx context.Context, dir string, more []string, in []byte, args ...string) ([]byte, error) {
	return call(ctx, dir, ours(more...), in, args...)
}

// call runs git in a folder and returns what it prints, byte for byte. A failure is
// a *execx.RunError; what was printed until then comes with it.
func call(ctx context.Context, dir string, env []string, in []byte, args ...string) ([]byte, error) {
	out, _, err := heard(ctx, dir, env, in, args...)
	return out, err
}

// heard is call, with what git says beside.
func heard(ctx context.Context, dir string, env []string, in []byte, args ...string) (printed []byte, said string, err error) {
	bin, err := execx.Find("git", "git")
	if err != nil {
		return nil, "", err
	}
	cmd := execx.Command(ctx, dir, nil, bin, args...)
	cmd.Env = env
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, "", context.Cause(ctx)
		}
		return out.Bytes(), errs.String(), &execx.RunError{Name: "git", Stderr: errs.String(), Err: err}
	}
	return out.Bytes(), errs.String(), nil
}

// line is the one line that git answers with, without its end. More than one line is
// data, which is never to be trimmed: that is an error of the caller's.
func line(out []byte, err error, args []string) (string, error) {
	if err != nil {
		return "", err
	}
	answer := strings.TrimSuffix(string(out), "\n")
	if strings.ContainsAny(answer, "\n\x00") {
		return "", fmt.Errorf("git %s printed more than a line: %.100q", args[0], answer)
	}
	return answer, nil
}

// answered reports whether git ran and ended with an exit code that is an answer.
func answered(err error, code int) bool {
	var failed *execx.RunError
	return errors.As(err, &failed) && exitCode(failed) == code
}

func exitCode(failed *execx.RunError) int {
	var exit interface{ ExitCode() int }
	switch {
	case failed == nil:
		return 0
	case errors.As(failed.Err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// notTrusted says what makes git trust a repository of another user. GIT_CONFIG_GLOBAL
// is not read here, so that what it names would not help.
func notTrusted(root string) error {
	set := "git config --global --add safe.directory " + root
	if os.Getenv("GIT_CONFIG_GLOBAL") != "" {
		set = "env -u GIT_CONFIG_GLOBAL " + set
	}
	return errkind.Requestf("git does not trust %s, which another user owns; run: %s", root, set)
}
