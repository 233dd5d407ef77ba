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

// Job is a run that is cut into shards.
type Job struct {
	// Command is the whole run: the program, run, and the flags that say of what.
	Command []string
	// Shards is how many parts there are; Cells is what they have together.
	Shards, Cells int
	// Jobs is how many guests a shard runs at a time, and so how many processors it asks for.
	Jobs int
	// Out is the folder below which each shard leaves its results; empty is the engine's usual.
	Out string
	// Image is the container in which a shard runs, where the engine runs containers.
	Image string
}

// Engine is one that runs shards.
type Engine struct {
	Name  string
	write func(io.Writer, Job) error
}

// Engines are those that are known.
func Engines() []Engine {
	return []Engine{{"github", github}, {"gitlab", gitlab}, {"slurm", slurm}, {"k8s", kubernetes}}
}

// Names are the names of the engines.
func Names() (names []string) {
	for _, e := range Engines() {
		names = append(names, e.Name)
	}
	return names
}

// Write writes a job for the engine of that name. What it can't be told, as more
// shards than an engine takes, is a request that is wrong.
func Write(w io.Writer, engine string, j Job) error {
	// It stands in paths and patterns that each engine reads by its own rules.
	if strings.Trim(j.Out, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./") != "" {
		return errkind.Requestf("--out %q: want a path of letters, digits, dots, _ and -", j.Out)
	}
	// Control characters end lines, or are not the same to two readers of YAML.
	for _, word := range append([]string{j.Image}, j.Command...) {
		if strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.ContainsRune(word, unicode.ReplacementChar) {
			return errkind.Requestf("%q has a character that is not to be printed, and can't go into a pipeline; write it without", word)
		}
	}
	for _, e := range Engines() {
		if e.Name == engine {
			return e.write(w, j)
		}
	}
	return errkind.Requestf("no engine is called %q; known are %s", engine, strings.Join(Names(), ", "))
}

// size says in words what the job is.
func (j Job) size() string {
	return fmt.Sprintf("Made by faultline plan: %d cells in %d shards.", j.Cells, j.Shards)
}

// out is the folder of the shards' results, or the engine's usual.
func (j Job) out(usual string) string {
	if j.Out == "" {
		return usual
	}
	return j.Out
}

// merge is the command that joins the shards that a shell finds by a pattern.
func merge(to, pattern string) string {
	return "faultline merge --out " + to + " " + pattern
}

// most refuses more shards than an engine takes.
func (j Job) most(n int, engine string) error {
	if j.Shards > n {
		return errkind.Requestf("--shards %d: %s takes at most %d of a job", j.Shards, engine, n)
	}
	return nil
}

// resume are lines of a shell, for any POSIX one, that add --resume to the words
// "$@" where a shard was begun before in the folder $out.
const resume = `# A shard that was begun before goes on where it was: its finished cells stay.
if [ -e "$out/run.json" ]; then
    echo "faultline: shard $shard was begun before in $out; it is resumed" >&2
    set -- --resume
fi
`

// command is the shell's line that runs the shard $shard into $out.
func (j Job) command() string {
	return shell.Quote(j.Command) + ` --shard "$shard" --out "$out" "$@"`
}

// shardOf is the i-th shard of the job.
func (j Job) shardOf(i int) results.Shard { return results.Shard{Index: i, Of: j.Shards} }
