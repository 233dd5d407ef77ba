package shard

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/shell"
)

// Job is a run that is split into shards.
type Job struct {
	// Command is the command of the complete run: the program, "run", and its flags.
	Command []string
	// Shards is the number of shards, Cells their total number of cells.
	Shards, Cells int
	// Jobs is the number of guests that a shard runs in parallel, and so of CPUs that it
	// requests.
	Jobs int
	// Out is the parent folder of the shards' results; empty means the engine's default.
	Out string
	// Image is the container image of a shard, for engines that run containers.
	Image string
}

// Engine is a system that runs shards.
type Engine struct {
	Name  string
	write func(io.Writer, Job) error
}

// Engines returns the known engines.
func Engines() []Engine {
	return []Engine{{"github", github}, {"gitlab", gitlab}, {"slurm", slurm}, {"k8s", kubernetes}}
}

// Names returns the names of the engines.
func Names() (names []string) {
	for _, e := range Engines() {
		names = append(names, e.Name)
	}
	return names
}

// Write writes a job for the named engine. A job that the engine does not support, such
// as one with too many shards, is an error of the request.
func Write(w io.Writer, engine string, j Job) error {
	// It becomes a part of paths and patterns, which each engine parses by its own rules.
	if strings.Trim(j.Out, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./") != "" {
		return errkind.Requestf("--out %q: want a path of letters, digits, dots, _ and -", j.Out)
	}
	// Control characters end lines, or differ between YAML parsers.
	for _, word := range append([]string{j.Image}, j.Command...) {
		if strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsPrint(r) }) ||
			strings.ContainsRune(word, unicode.ReplacementChar) {
			return errkind.Requestf("%q: unprintable characters are not allowed in a pipeline; remove them", word)
		}
	}
	for _, e := range Engines() {
		if e.Name == engine {
			return e.write(w, j)
		}
	}
	return errkind.Requestf("unknown engine %q; use one of %s", engine, strings.Join(Names(), ", "))
}

// size describes the size of the job.
func (j Job) size() string {
	return fmt.Sprintf("Made by faultline plan: %d cells in %d shards.", j.Cells, j.Shards)
}

// out returns the folder of the shards' results, by default usual.
func (j Job) out(usual string) string {
	if j.Out == "" {
		return usual
	}
	return j.Out
}

// merge returns the command that merges the shards that match a shell pattern.
func merge(to, pattern string) string {
	return "faultline merge --out " + to + " " + pattern
}

// most returns an error if the job has more shards than the engine allows.
func (j Job) most(n int, engine string) error {
	if j.Shards > n {
		return errkind.Requestf("--shards %d: %s allows at most %d per job", j.Shards, engine, n)
	}
	return nil
}

// resume is a POSIX shell fragment that sets "$@" to --resume if a shard was started
// before in the folder $out.
const resume = `# A shard that was started before resumes: its finished cells stay.
if [ -e "$out/run.json" ]; then
    echo "faultline: shard $shard was started before in $out; resuming" >&2
    set -- --resume
fi
`

// command returns the shell command that runs the shard $shard into $out.
func (j Job) command() string {
	return shell.Quote(j.Command) + ` --shard "$shard" --out "$out" "$@"`
}

// shardOf returns the i-th shard of the job.
func (j Job) shardOf(i int) results.Shard { return results.Shard{Index: i, Of: j.Shards} }
