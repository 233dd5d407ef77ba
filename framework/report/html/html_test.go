package html

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/results"
)

var pages = flag.String("pages", "", "folder to write the demo pages to, for a look with a browser")

func render(t *testing.T, run results.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, run, demo.Folder(t, run)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWrite(t *testing.T) {
	page := render(t, demo.Run())
	for _, want := range []string{
		"all 7 are explained by dax_fault_hwpoison",
		"dax: enable dax fault handler to report VM_FAULT_HWPOISON",
		"faultline repro &#39;dax/ext4/shared-read@apt:bookworm,linux-image-6.12.*-amd64-unsigned&#39; --run results/",
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
func TestIsSelfContained(t *testing.T) {
	page := render(t, demo.Troubled())
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

func TestEscapesTheGuest(t *testing.T) {
	for _, run := range []results.Run{demo.Troubled(), demo.Hostile()} {
		page := render(t, run)
		for _, bad := range []string{"<img src=x", "<script>alert", "<b>forged", "</script><script", "<!-- -->"} {
			if strings.Contains(page, bad) {
				t.Errorf("the page has %q unescaped", bad)
			}
		}
		demo.Seen(t, page)
	}
	if page := render(t, demo.Troubled()); !strings.Contains(page, "&lt;img src=x onerror=alert(1)&gt;") {
		t.Error("the page doesn't show what the guest said")
	}
}

// TestPages writes the pages that one looks at with a browser.
func TestPages(t *testing.T) {
	if *pages == "" {
		t.Skip("no -pages folder")
	}
	for name, run := range map[string]results.Run{"demo": demo.Run(), "trouble": demo.Troubled(), "wide": demo.AddKernels(demo.Run(), 2)} {
		if err := os.WriteFile(filepath.Join(*pages, name+".html"), []byte(render(t, run)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWithoutAnything(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, results.Run{}, nil); err != nil {
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
