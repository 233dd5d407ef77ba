package complete

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

type grammar struct {
	Run struct {
		Scenario []string `short:"s" complete:"scenario"`
		Accel    string   `enum:"kvm,tcg" default:"tcg"`
		Out      string
		Resume   bool
		Secret   bool     `hidden:""`
		Kernels  []string `arg:"" optional:"" complete:"kernel"`
	} `cmd:""`
	Rerun struct{} `cmd:""`
	List  struct {
		All struct {
			JSON bool `name:"json"`
		} `cmd:"" default:"withargs"`
		Kernels struct{} `cmd:""`
	} `cmd:""`
	Words struct{} `cmd:"" hidden:""`
}

func TestWords(t *testing.T) {
	parser, err := kong.New(&grammar{}, kong.Name("prog"))
	if err != nil {
		t.Fatal(err)
	}
	asked := ""
	values := Values{
		"scenario": func(word string) []string { asked = word; return []string{"dax/a", "dax/b", "mce/a"} },
		"kernel":   func(string) []string { return []string{"apt:one", "dir:two"} },
	}
	for line, want := range map[string]string{
		"":                           "run rerun list",
		"prog":                       "", // its own name is not to be completed
		"prog ":                      "run rerun list",
		"prog r":                     "run rerun",
		"prog  r":                    "run rerun",
		"prog x":                     "",
		"prog run --s":               "--scenario",
		"prog run -":                 "--help --scenario --accel --out --resume",
		"prog run --scenario dax":    "dax/a dax/b",
		"prog run -s d":              "dax/a dax/b",
		"prog run --scenario=m":      "--scenario=mce/a",
		"prog run --accel ":          "kvm tcg",
		"prog run --accel=t":         "--accel=tcg",
		"prog run --out ":            "", // a file
		"prog run --out list ":       "apt:one dir:two",
		"prog run --out=x a":         "apt:one",
		"prog run --resume a":        "apt:one",
		"prog run apt:one d":         "dir:two", // any number of them
		"prog run --nothing=":        "",
		"prog list --":               "--help --json", // those of its default subcommand
		"prog list k":                "kernels",
		"prog list kernels --j":      "",
		"prog rerun extra word more": "",
	} {
		if got := strings.Join(Words(parser.Model, line, values), " "); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
	if asked != "d" && asked != "dax" && asked != "m" {
		t.Errorf("got asked with %q, want d, dax or m", asked)
	}
}

func FuzzWords(f *testing.F) {
	parser, err := kong.New(&grammar{}, kong.Name("prog"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("prog run --scenario=d")
	f.Add("prog list kernels x y ")
	f.Fuzz(func(t *testing.T, line string) {
		last := line[strings.LastIndex(line, " ")+1:]
		for _, w := range Words(parser.Model, line, Values{"scenario": func(w string) []string { return []string{w + "x", "other"} }}) {
			if !strings.HasPrefix(w, last) {
				t.Errorf("%q: got %q, want it to begin with %q", line, w, last)
			}
		}
	})
}

// Each shell that is installed accepts its script.
func TestScripts(t *testing.T) {
	if diff := cmp.Diff([]string{"bash", "fish", "zsh"}, Shells()); diff != "" {
		t.Errorf("shells mismatch (-want +got):\n%s", diff)
	}
	for _, shell := range Shells() {
		script := Script(shell, "prog")
		if !strings.Contains(script, "prog complete -- ") || strings.Contains(script, "PROGRAM") {
			t.Errorf("%s: got the script %s, want it to call prog complete, without PROGRAM", shell, script)
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		cmd := exec.Command(path, "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
}
