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

var update = flag.Bool("update", false, "write the golden files anew")

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
				t.Errorf("it says %q, the run %d", m, run.Summary.ExitCode)
			}
			check(t, render(t, text))
		})
	}
}

// Whatever is said, it is nothing but text, in a page of the same form.
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

// TestProse has words of others where a line begins.
func TestProse(t *testing.T) {
	for name, want := range map[string]string{
		"7.3.4":      "7.3.4 and ",
		"- forged":   "`- forged and ",
		"+ forged":   "`+ forged and ",
		"1. forged":  "`1. forged and ",
		"12) forged": "`12) forged and ",
		"--- forged": "`--- forged and ",
		"::error x":  "`:·:error x and ",
		"::group":    "`:·:group and ",
		"a::warning": "`a:·:warning and ",
	} {
		run := demo.Run()
		run.Kernels[0].Version = name // the headline begins with it
		run.Judge()
		text := write(t, run)
		if !strings.Contains(text, "\n\n"+want) {
			t.Errorf("%s: no line begins with %q:\n%.200s", name, want, text)
		}
		demo.Inert(t, text)
		check(t, render(t, text))
	}
}

// The four things that are no success stand in four places.
func TestTellsApart(t *testing.T) {
	for name, want := range map[string]string{
		"unexpected":                   "### 1 finding\n\n- **unexpected observation**: dax/ext4/pread on ",
		"lost change":                  "### 1 finding\n\n- **lost change**: 6.12.117 (apt:bookworm, 6.12) was made from v6.12 and lacks dax\\_recovery\\_write ",
		"rig":                          "### Rig failed\n\n- 1 cell on `6.12.117 (apt:bookworm, 6.12)`: the guest gave no answer within 30s\n",
		"not compared in one scenario": "### Not compared\n\n- 1 cell on `6.12.117 (apt:bookworm, 6.12)`: it ran with tcg on 6.1.192 (apt:bookworm) and with kvm on 6.12.117 (apt:bookworm, 6.12)\n",
		"not doable":                   "### Not doable\n\n- 1 cell on `6.12.117 (apt:bookworm, 6.12)`: the kernel lacks CONFIG\\_EXT4\\_FS\n",
		"interrupted":                  "\n**Interrupted**: `6.12.117 (apt:bookworm, 6.12)`: the run was interrupted before 2 of 15 scenarios could be observed: ",
	} {
		if text := write(t, demo.Every()[name]); !strings.Contains(text, want) {
			t.Errorf("%s: no %q in\n%s", name, want, text)
		}
	}
}

// render has goldmark read the page as GitHub would, raw HTML included.
func render(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	md := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe()))
	if err := md.Convert([]byte(text), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// ours are the elements that a page of ours may become.
var ours = []string{"h2", "h3", "p", "ul", "li", "strong", "em", "code", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}

// words are what a page may have outside of code spans: no markup that a renderer
// left as it is, and no command for a pipeline's log.
var words = regexp.MustCompile(`^[\pL\pN\s.,;:()/+_=≠!–-]*$`)

// check fails where a page has become anything but what it is made of: text of
// others is code unless it is words, and each row has as many cells as its table's head.
func check(t *testing.T, page string) {
	t.Helper()
	z := nethtml.NewTokenizer(strings.NewReader(page))
	code, cells, columns := 0, 0, 0
	for {
		switch z.Next() {
		case nethtml.ErrorToken:
			return
		case nethtml.CommentToken, nethtml.DoctypeToken, nethtml.SelfClosingTagToken:
			t.Errorf("it has %s", z.Raw())
		case nethtml.TextToken:
			if text := string(z.Text()); code == 0 && (!words.MatchString(text) || strings.Contains(text, "::")) {
				t.Errorf("text that is not words is outside of code: %q", text)
			}
		case nethtml.StartTagToken:
			switch tok := z.Token(); {
			case !slices.Contains(ours, tok.Data):
				t.Errorf("it has %s", tok)
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
					t.Errorf("a row of %d cells below %d", cells, columns)
				}
			}
		}
	}
}

// TestCMark has GitHub's own renderer read it.
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
		t.Errorf("%d bytes", len(text))
	}
	m := regexp.MustCompile("\n</details>\n\n\n([0-9]+) lines more did not fit: see `report.html`.\n$").FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("it ends with %q", text[len(text)-200:])
	}
	check(t, render(t, text))
}
