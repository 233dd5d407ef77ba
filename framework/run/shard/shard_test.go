package shard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/faultline/faultline/internal/errkind"
)

// hostile are words with a special meaning in a shell, YAML, GitHub or Kubernetes.
var hostile = []string{
	"faultline", "run", "--label=!change: isEmpty && (a || b)", "--scenario=dax/*", "--scenario=", "it's", `"$HOME"`, "`id`", "$(id)", "$(JOB)",
	"$$(JOB)", "$$", "$", "$((1 + 1))", "a b", " a ", "*", "~", "#x", "- x", ": y", "1e3", "0x1", "null", "yes", "|", "> ", "{a}", "[a]", "&a", "!a", "%", "@a",
	"${{ github.token }}", "::error::x", "##[error]x", `\`, `\n`, "ä 漢", "<a>&", "--", "matrix=1", "$[[ inputs.x ]]",
}

func written(t *testing.T, engine string, j Job) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, engine, j); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// shard runs the command of an engine's shard, with a fake faultline that prints its
// arguments. With begun, that folder contains the results of an earlier attempt.
func shard(t *testing.T, argv []string, begun string, env ...string) (words []string, said string) {
	t.Helper()
	dir := t.TempDir()
	fake := "#!/bin/sh\nfor w in \"$@\"; do printf '%s\\0' \"$w\"; done\n"
	if err := os.WriteFile(filepath.Join(dir, "faultline"), []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	if begun != "" {
		if err := os.MkdirAll(filepath.Join(dir, begun), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, begun, "run.json"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &stdout, &stderr, dir
	cmd.Env = append([]string{"PATH=" + dir + ":" + os.Getenv("PATH")}, env...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%q: %v: %s", argv, err, stderr.String())
	}
	return strings.Split(strings.TrimSuffix(stdout.String(), "\x00"), "\x00"), stderr.String()
}

// expanded returns a text as Kubernetes passes it to a container: $(NAME) is the value of a
// known variable, and $$ is $ (k8s.io/kubernetes, expansion.Expand).
func expanded(text string) string {
	return regexp.MustCompile(`\$\$|\$\([^)]*\)`).ReplaceAllStringFunc(text, func(m string) string {
		switch m {
		case "$$":
			return "$"
		case "$(JOB)":
			return "EXPANDED"
		}
		return m
	})
}

// Each engine runs the job's command with the right shard and a folder of its own. A shard
// that was started before is resumed, with a message.
func TestShardOfAnEngine(t *testing.T) {
	job := Job{Command: hostile, Shards: 3, Cells: 7, Jobs: 1, Image: "debian"}
	type container struct {
		Command, Args []string
		Env           []struct{ Name, Value string }
	}
	for engine, argv := range map[string]func(text string) []string{
		"github": func(text string) []string {
			var m struct {
				Include []struct {
					Shard, Out, Command string
					Index               int
				}
			}
			line, ok := strings.CutPrefix(text, "matrix=")
			if err := json.Unmarshal([]byte(line), &m); !ok || err != nil || strings.Count(text, "\n") != 1 || len(m.Include) != 3 {
				t.Fatalf("no line for $GITHUB_OUTPUT: %v: %s", err, text)
			}
			two := m.Include[1]
			if two.Shard != "2/3" || two.Index != 2 || two.Out != "shards/2" {
				t.Errorf("got %+v, want the shard 2/3, the index 2 and shards/2", two)
			}
			return []string{"bash", "-e", "-c", two.Command}
		},
		"gitlab": func(text string) []string {
			var p map[string]struct {
				Script   []string
				Parallel int
			}
			if err := yaml.Unmarshal([]byte(text), &p); err != nil {
				t.Fatal(err)
			}
			if p["faultline"].Parallel != 3 {
				t.Errorf("got %+v, want parallel: 3", p)
			}
			return []string{"sh", "-e", "-c", strings.Join(p["faultline"].Script, "\n")}
		},
		"slurm": func(text string) []string {
			if !strings.Contains(text, "\n#SBATCH --array=1-3\n") {
				t.Error("no array of three")
			}
			return []string{"bash", "-c", text}
		},
		"k8s": func(text string) []string {
			var k struct {
				Spec struct {
					Completions int
					Template    struct {
						Spec struct{ Containers []container }
					}
				}
			}
			if err := yaml.Unmarshal([]byte(text), &k); err != nil {
				t.Fatal(err)
			}
			if k.Spec.Completions != 3 {
				t.Errorf("got %+v, want completions: 3", k)
			}
			c := k.Spec.Template.Spec.Containers[0]
			argv := append(c.Command, c.Args...)
			for i := range argv {
				argv[i] = expanded(argv[i])
			}
			return argv
		},
	} {
		t.Run(engine, func(t *testing.T) {
			argv := argv(written(t, engine, job))
			env := []string{
				"CI_NODE_INDEX=2", "CI_NODE_TOTAL=3", "CI_PIPELINE_ID=99", "SLURM_ARRAY_JOB_ID=99", "SLURM_ARRAY_TASK_ID=2",
				"JOB_COMPLETION_INDEX=1", "JOB=99", "OUT=shards",
			}
			out := "shards/99/2"
			if engine == "github" {
				out = "shards/2"
			}
			want := append(slices.Clone(hostile[1:]), "--shard", "2/3", "--out", out)
			if words, said := shard(t, argv, "", env...); !slices.Equal(words, want) || said != "" {
				t.Errorf("runs %q, want %q, and prints %q", words, want, said)
			}
			if engine == "github" { // each attempt has a new machine
				return
			}
			words, said := shard(t, argv, out, env...)
			if !slices.Equal(words, append(want, "--resume")) || said != "faultline: shard 2/3 was started before in "+out+"; resuming\n" {
				t.Errorf("started before: runs %q, prints %q; want %q, --resume, and that it resumes", words, said, want)
			}
			if words, _ := shard(t, argv, "shards/98/2", env...); !slices.Equal(words, want) {
				t.Errorf("started by another submission: runs %q, want %q", words, want)
			}
		})
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		engine, want string
		job          Job
	}{
		"another engine":           {"jenkins", `unknown engine "jenkins"; use one of github, gitlab, slurm, k8s`, Job{}},
		"a newline":                {"slurm", `"a\nb": unprintable characters are not allowed`, Job{Command: []string{"a\nb"}}},
		"an escape":                {"gitlab", "unprintable characters", Job{Command: []string{"a\x1bb"}}},
		"no UTF-8":                 {"github", "unprintable characters", Job{Command: []string{"a\xffb"}}},
		"an image with a newline":  {"k8s", "unprintable characters", Job{Image: "a\nb"}},
		"a folder that is code":    {"slurm", `--out "$(id)": want a path`, Job{Out: "$(id)"}},
		"a folder with a space":    {"gitlab", `--out "a b": want a path`, Job{Out: "a b"}},
		"too many for GitHub":      {"github", "--shards 257: GitHub allows at most 256", Job{Shards: 257}},
		"too many for GitLab":      {"gitlab", "--shards 201: GitLab allows at most 200", Job{Shards: 201}},
		"a pod without an image":   {"k8s", "--for k8s needs --image IMAGE, a container image that contains faultline", Job{}},
		"a claim mounted anywhere": {"k8s", "--out shards: not an absolute path", Job{Image: "x", Out: "shards"}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			err := Write(&b, c.engine, c.job)
			if err == nil || !strings.Contains(err.Error(), c.want) || errkind.Of(err) != errkind.Request || b.Len() > 0 {
				t.Errorf("got %v, after %d bytes; want a request error with %q, after none", err, b.Len(), c.want)
			}
		})
	}
}

// The engines' own parsers are in readers_test.go; a shell is always available.
func TestSlurmScriptIsAShells(t *testing.T) {
	cmd := exec.Command("bash", "-n")
	cmd.Stdin = strings.NewReader(written(t, "slurm", Job{Command: hostile, Shards: 999, Cells: 1000, Jobs: 2}))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func ExampleWrite() {
	err := Write(os.Stdout, "github", Job{Command: []string{"faultline", "run", "--matrix=wide"}, Shards: 2, Cells: 480, Jobs: 2})
	fmt.Println(err)
	// Output:
	// matrix={"include":[{"shard":"1/2","index":1,"out":"shards/1","command":"faultline run --matrix=wide --shard 1/2 --out shards/1"},{"shard":"2/2","index":2,"out":"shards/2","command":"faultline run --matrix=wide --shard 2/2 --out shards/2"}]}
	// <nil>
}
