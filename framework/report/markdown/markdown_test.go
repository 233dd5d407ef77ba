package markdown_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
	nethtml "golang.org/x/net/html"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/markdown"
	"github.com/faultline/faultline/internal/exttest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func write(t *testing.T, run results.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := markdown.Write(&b, run, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWrite(t *testing.T) {
	for name, run := range map[string]results.Run{"expected": demo.Run(), "troubled": demo.Troubled()} {
		got := write(t, run)
		path := filepath.Join("testdata", name+".md")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v; run go test -update", err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s differs; look at it, then run go test -update (-want +got):\n%s", path, diff)
		}
	}
}

// verdict is how the page begins.
var verdict = regexp.MustCompile(`^## Faultline: .* \(exit code (\d+)\)\n`)

func TestSaysTheExitCode(t *testing.T) {
	for name, run := range demo.Every() {
		t.Run(name, func(t *testing.T) {
			text := write(t, run)
			demo.Inert(t, text)
			if m := verdict.FindStringSubmatch(text); m == nil || m[1] != strconv.Itoa(run.Summary.ExitCode) {
				t.Errorf("got exit code %q, want %d", m, run.Summary.ExitCode)
			}
			check(t, render(t, text))
		})
	}
}

// Any text of a record stays text, in a page of the same form.
func FuzzWrite(f *testing.F) {
	f.Add(demo.HostileText)
	for _, begins := range []string{"::error title=forged", "::add-mask", "forged", "- forged", "1. forged", "--- forged", "= forged"} {
		f.Add(begins)
	}
	f.Fuzz(func(t *testing.T, said string) {
		text := write(t, demo.Saying(said))
		demo.Inert(t, text)
		check(t, render(t, text))
	})
}

// TestProse puts a record's text where a list item begins.
func TestProse(t *testing.T) {
	for name, want := range map[string]string{
		"7.3.4":      "7.3.4: ",
		"- forged":   "`- forged: ",
		"+ forged":   "`+ forged: ",
		"1. forged":  "`1. forged: ",
		"12) forged": "`12) forged: ",
		"--- forged": "`--- forged: ",
		"::error x":  "`:·:error x: ",
		"::group":    "`:·:group: ",
		"a::warning": "`a:·:warning: ",
	} {
		run := demo.Run()
		run.Differences[0].ExplainedBy = name // an unknown change, listed by its id
		text := write(t, run)
		if !strings.Contains(text, "\n- "+want) {
			t.Errorf("%s: no item begins with %q:\n%.300s", name, want, text)
		}
		demo.Inert(t, text)
		check(t, render(t, text))
	}
}

// The four kinds of results that are not a success have four places.
func TestTellsApart(t *testing.T) {
	for name, want := range map[string]string{
		"unexpected":                   "### 1 finding\n\n- **unexpected observation**: dax/ext4/pread on ",
		"lost change":                  "### 1 finding\n\n- **lost change**: 6.12.117 (apt:bookworm, 6.12) is based on v6.12 but does not have dax\\_recovery\\_write ",
		"infra":                        "### Infrastructure failures\n\n- 1 cell on `6.12.117 (apt:bookworm, 6.12)`: the guest gave no answer within 30s\n",
		"not compared in one scenario": "### Not compared\n\n- 1 cell on `6.12.117 (apt:bookworm, 6.12)`: different accelerators: tcg on 6.1.192 (apt:bookworm), kvm on 6.12.117 (apt:bookworm, 6.12)\n",
		"skipped":                      "### Skipped\n\n- 1 cell on `6.12.117 (apt:bookworm, 6.12)`: the kernel lacks CONFIG\\_EXT4\\_FS\n",
		"interrupted":                  "\n**Interrupted**: `6.12.117 (apt:bookworm, 6.12)`: the run was interrupted before 2 of 15 scenarios could be observed: ",
	} {
		if text := write(t, demo.Every()[name]); !strings.Contains(text, want) {
			t.Errorf("%s: no %q in\n%s", name, want, text)
		}
	}
}

// render renders the page with goldmark as GitHub would, raw HTML included.
func render(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	md := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe()))
	if err := md.Convert([]byte(text), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// ours are the elements that a page may contain.
var ours = []string{"h2", "h3", "p", "ul", "li", "strong", "em", "code", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}

// words matches the text that a page may have outside of code spans: no markup left by
// a renderer, and no command for a pipeline's log.
var words = regexp.MustCompile(`^[\pL\pN\s.,;:()/+_=≠!–-]*$`)

// check fails if a page has other elements than ours, a record's text outside of code
// that is not words, or a row with another number of cells than its table's head.
func check(t *testing.T, page string) {
	t.Helper()
	z := nethtml.NewTokenizer(strings.NewReader(page))
	code, cells, columns := 0, 0, 0
	for {
		switch z.Next() {
		case nethtml.ErrorToken:
			return
		case nethtml.CommentToken, nethtml.DoctypeToken, nethtml.SelfClosingTagToken:
			t.Errorf("the page has %s", z.Raw())
		case nethtml.TextToken:
			if text := string(z.Text()); code == 0 && (!words.MatchString(text) || strings.Contains(text, "::")) {
				t.Errorf("text that is not words is outside of code: %q", text)
			}
		case nethtml.StartTagToken:
			switch tok := z.Token(); {
			case !slices.Contains(ours, tok.Data):
				t.Errorf("the page has %s", tok)
			case tok.Data == "code":
				code++
			case tok.Data == "table":
				columns = 0
			case tok.Data == "tr":
				cells = 0
			case tok.Data == "th" || tok.Data == "td":
				cells++
			}
		case nethtml.EndTagToken:
			switch tok := z.Token(); tok.Data {
			case "code":
				code--
			case "tr":
				if columns == 0 {
					columns = cells
				}
				if cells != columns || cells < 3 {
					t.Errorf("got a row of %d cells, want %d, at least 3", cells, columns)
				}
			}
		}
	}
}

// TestCMark reads it with GitHub's own renderer.
func TestCMark(t *testing.T) {
	cmark := exttest.Program(t, "cmark-gfm")
	for name, run := range demo.Every() {
		cmd := exec.Command(cmark, "--unsafe", "-e", "table", "-e", "strikethrough", "-e", "autolink", "-e", "tasklist")
		cmd.Stdin = strings.NewReader(write(t, run))
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		check(t, string(out))
	}
}

// GitHub drops a summary of more than 1 MiB.
func TestIsBounded(t *testing.T) {
	run := demo.Run()
	for i := range 20000 {
		for _, k := range run.Kernels {
			s := results.Scenario{ID: fmt.Sprintf("long/%06d/%s", i, strings.Repeat("x", 20)), Suite: "long"}
			run.Cells = append(run.Cells, observe.Cell{Scenario: s.ID, Kernel: k.Name, Accel: "tcg", Verdict: observe.Expected})
			run.Scenarios = append(run.Scenarios, s)
		}
	}
	text := write(t, run)
	if len(text) > 1_000_000 || len(text) < 900_000 {
		t.Errorf("got %d bytes, want 900000 to 1000000", len(text))
	}
	m := regexp.MustCompile("\n</details>\n\n\n([0-9]+) more lines did not fit: see `report.html`.\n$").FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("got the end %q, want how much is left out", text[len(text)-200:])
	}
	check(t, render(t, text))
}
