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

// kept are the GIT_* variables that are passed on to git: where git is installed, and how
// it reaches the remote that a partial clone fetches from.
var kept = []string{"GIT_EXEC_PATH", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS"}

// fixed are settings that change git's output, or make it write to the repository
// (core.fsmonitor starts a daemon there). They override every configuration file
// (git-config(1), GIT_CONFIG_COUNT). The settings that decide whether a file is modified
// (core.autocrlf, core.excludesFile, core.attributesFile) remain the user's.
var fixed = []string{
	"color.ui=false",
	"log.showSignature=false",
	"i18n.logOutputEncoding=UTF-8",
	"core.quotePath=false",
	"core.fsmonitor=false",
	"advice.graftFileDeprecated=false", // environ sets an empty graft file
}

// environ returns the environment for git, without the caller's variables that select
// another repository, index, configuration or history (git rev-parse --local-env-vars)
// or that change output. Replacement objects and grafts are ignored, because only the
// user's repository has them. settings are added to fixed, as "name=value"; more are
// environment variables.
func environ(settings []string, more ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "GIT_") || slices.Contains(kept, name) || strings.HasPrefix(name, "GIT_SSL_") {
			env = append(env, v)
		}
	}
	env = append(env, "LC_ALL=C", // git's messages are parsed
		"GIT_TERMINAL_PROMPT=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_GRAFT_FILE="+os.DevNull)
	settings = append(fixed[:len(fixed):len(fixed)], settings...)
	env = append(env, fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(settings)))
	for i, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, name), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, value))
	}
	return append(env, more...)
}

// ours returns the environment for git in a repository of ours. It excludes the user's
// and the system's configuration, whose attributes could convert files, or merge and
// compare them with other programs.
func ours(more ...string) []string {
	settings := []string{"core.attributesFile=" + os.DevNull, "core.excludesFile=" + os.DevNull}
	return environ(settings, append([]string{
		"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_SYSTEM=" + os.DevNull, "GIT_ATTR_NOSYSTEM=1",
	}, more...)...)
}

// Run runs git in a folder, on a repository that the caller creates, with in as its
// standard input, and returns its output unchanged. It ignores the GIT_* variables of our
// environment, and the user's and the system's configuration; more are variables to set.
// If git fails, the error is an *execx.RunError.
func Run(ctx context.Context, dir string, more []string, in []byte, args ...string) ([]byte, error) {
	return call(ctx, dir, ours(more...), in, args...)
}

// call runs git in a folder and returns its output unchanged. If git fails, the error is
// an *execx.RunError, and call also returns the output so far.
func call(ctx context.Context, dir string, env []string, in []byte, args ...string) ([]byte, error) {
	out, _, err := callBoth(ctx, dir, env, in, args...)
	return out, err
}

// callBoth is call that also returns standard error.
func callBoth(
	ctx context.Context, dir string, env []string, in []byte, args ...string,
) (stdout []byte, stderr string, err error) {
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

// line returns the one line that git printed, without the newline. More than one line is
// data, which must not be trimmed: it is the caller's mistake.
func line(out []byte, err error, args []string) (string, error) {
	if err != nil {
		return "", err
	}
	answer := strings.TrimSuffix(string(out), "\n")
	if strings.ContainsAny(answer, "\n\x00") {
		return "", fmt.Errorf("git %s printed more than one line: %.100q", args[0], answer)
	}
	return answer, nil
}

// answered reports whether git ran and exited with the given code, which is an answer
// and not a failure.
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

// notTrusted returns an error with the command that makes git trust a repository of
// another user. environ drops GIT_CONFIG_GLOBAL, so the setting must not go to its file.
func notTrusted(root string) error {
	set := "git config --global --add safe.directory " + root
	if os.Getenv("GIT_CONFIG_GLOBAL") != "" {
		set = "env -u GIT_CONFIG_GLOBAL " + set
	}
	return errkind.Requestf("git does not trust %s, which another user owns; run: %s", root, set)
}
