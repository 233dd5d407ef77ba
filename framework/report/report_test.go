package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/results"
)

var (
	update = flag.Bool("update", false, "write the golden files anew")
	pages  = flag.String("pages", "", "folder to write the demo pages to, for a look with a browser")
)

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
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

func TestTable(t *testing.T) {
	for _, tc := range []struct {
		name string
		run  results.Run
		opt  Options
	}{
		{"wide", demo(), Options{Results: "results/latest"}},
		{"terminal-100", demo(), Options{Width: 100}},
		{"terminal-80-five-kernels", addKernels(demo(), 3), Options{Width: 80, OnlyDifferences: true}},
		{"trouble", troubled(), Options{Width: 120}},
		{"trouble-color", troubled(), Options{Width: 120, Color: true, OnlyDifferences: true}},
		{"empty", results.Run{}, Options{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := Table(&b, tc.run, tc.opt); err != nil {
				t.Fatal(err)
			}
			golden(t, "table-"+tc.name+".txt", b.String())
		})
	}
}

func TestTableKeepsWithinItsWidth(t *testing.T) {
	for width := minWidth; width <= 200; width++ {
		for _, run := range []results.Run{demo(), troubled(), addKernels(demo(), 4)} {
			var b bytes.Buffer
			if err := Table(&b, run, Options{Width: width}); err != nil {
				t.Fatal(err)
			}
			for _, l := range strings.Split(b.String(), "\n") {
				if utf8.RuneCountInString(l) > width {
					t.Fatalf("width %d: a line of %d: %q", width, utf8.RuneCountInString(l), l)
				}
			}
		}
	}
}

func TestTableHasNoControlCharacters(t *testing.T) {
	var b bytes.Buffer
	if err := Table(&b, troubled(), Options{}); err != nil {
		t.Fatal(err)
	}
	if i := strings.IndexFunc(b.String(), func(r rune) bool { return r < ' ' && r != '\n' }); i >= 0 {
		t.Errorf("control character at %d: %q", i, b.String()[i:min(i+20, b.Len())])
	}
}

func TestHeadline(t *testing.T) {
	one := demo()
	one.Kernels = one.Kernels[:1]
	one.Cells = filter(one.Cells, func(c observe.Cell) bool { return c.Kernel == oldName })
	one.Judge()
	same := demo()
	same.Cells = filter(same.Cells, func(c observe.Cell) bool { return strings.HasSuffix(c.Scenario, "/pread") })
	same.Judge()
	for _, tc := range []struct {
		name string
		run  results.Run
		want string
	}{
		{"explained", demo(), "6.1.192 and 6.12.117 differ in 7 of 15 scenarios; all 7 are explained by dax_fault_hwpoison (1ea7ca1b0901, v6.5)."},
		{"same", same, "6.1.192 and 6.12.117 show user space the same in all 2 scenarios."},
		{"one kernel", one, "6.1.192: 15 of 15 observations as expected."},
		{"trouble", troubled(), "6.1.192 and 6.12.117 differ in 8 of 13 scenarios, in 1 by a change that was lost; of the other 7, 4 are explained by dax_fault_hwpoison (1ea7ca1b0901, v6.5). 1 cell could not be judged."},
		{"nothing", results.Run{}, "Nothing was observed."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, NewHeadline(tc.run).Sentence); diff != "" {
				t.Error(diff)
			}
		})
	}
	h := NewHeadline(demo())
	if want := "load file+0x4000 width 1: SIGBUS BUS_ADRERR on 6.1.192, SIGBUS BUS_MCEERR_AR lsb=12 on 6.12.117."; h.Example != want || h.Scenario != "dax/ext4/second-process" {
		t.Errorf("example %q of %s, want %q of the lead scenario", h.Example, h.Scenario, want)
	}
}

func filter(cells []observe.Cell, keep func(observe.Cell) bool) []observe.Cell {
	var out []observe.Cell
	for _, c := range cells {
		if keep(c) {
			out = append(out, c)
		}
	}
	return out
}

func render(t *testing.T, run results.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, run, folderOf(t, run)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestHTML(t *testing.T) {
	page := render(t, demo())
	for _, want := range []string{
		"all 7 are explained by dax_fault_hwpoison",
		"dax: enable dax fault handler to report VM_FAULT_HWPOISON",
		"faultline run --kernel &#39;apt:bookworm,linux-image-6.12.*-amd64-unsigned&#39; --scenario dax/ext4/shared-read",
		"Run /init as init process",
		"kernels/6.1.192--apt-bookworm-", // the console's path
		`<span class="f-addr">00 40 20 14 3c 7f 00 00</span>`,
		`<span class="f-code other">04</span>`,
		"<td>4 KiB</td>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "ZgotmplZ") {
		t.Error("the template refused a value")
	}
}

// The page must work from disk with no network, and its policy must name the
// very style and script that are in it.
func TestHTMLIsSelfContained(t *testing.T) {
	page := render(t, troubled())
	if m := regexp.MustCompile(`(?i)(src|href)="?(https?:|//)|@import|url\(`).FindString(page); m != "" {
		t.Errorf("the page reaches out: %s", m)
	}
	for tag, want := range map[string]string{"style": digest(pageStyle), "script": digest(pageScript)} {
		m := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(page, -1)
		if len(m) != 1 {
			t.Fatalf("%d <%s>, want 1", len(m), tag)
		}
		if got := digest(m[0][1]); got != want {
			t.Errorf("<%s> has %s, the policy %s", tag, got, want)
		}
	}
}

func TestHTMLEscapesTheGuest(t *testing.T) {
	page := render(t, troubled())
	for _, bad := range []string{"<img src=x", "<script>alert", "\x1b"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q unescaped", bad)
		}
	}
	if !strings.Contains(page, "&lt;img src=x onerror=alert(1)&gt;") {
		t.Error("the page doesn't show what the guest said")
	}
}

// TestPages writes the pages that one looks at with a browser.
func TestPages(t *testing.T) {
	if *pages == "" {
		t.Skip("no -pages folder")
	}
	for name, run := range map[string]results.Run{"demo": demo(), "trouble": troubled(), "wide": addKernels(demo(), 2)} {
		if err := os.WriteFile(filepath.Join(*pages, name+".html"), []byte(render(t, run)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWrite(t *testing.T) {
	run := demo()
	f := folderOf(t, run)
	path, err := Write(run, f)
	if err != nil {
		t.Fatal(err)
	}
	if path != f.Path(results.ReportFile) {
		t.Errorf("written to %s", path)
	}
	b, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(b, []byte("<!doctype html>")) {
		t.Errorf("%.40q, %v", b, err)
	}
}

// The demo is a run as one can be: its record is valid.
func TestDemoIsValid(t *testing.T) {
	for name, run := range map[string]results.Run{"demo": demo(), "troubled": troubled()} {
		b, err := json.Marshal(run)
		if err != nil {
			t.Fatal(err)
		}
		if err := results.Validate(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHTMLWithoutAnything(t *testing.T) {
	var b bytes.Buffer
	if err := HTML(&b, results.Run{}, nil); err != nil {
		t.Fatal(err)
	}
}

func TestLSBWords(t *testing.T) {
	for lsb, want := range map[int16]string{0: "1 byte", 6: "64 bytes", 12: "4 KiB", 21: "2 MiB", 30: "1 GiB", -1: "no size", 99: "no size"} {
		if got := lsbWords(lsb); got != want {
			t.Errorf("lsb %d: %q, want %q", lsb, got, want)
		}
	}
}
