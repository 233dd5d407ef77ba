package html

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
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

// withData returns the page, followed by the data that its script draws cells from.
func withData(t *testing.T, run results.Run) string {
	t.Helper()
	page := render(t, run)
	m := regexp.MustCompile(`<template id="data">([^<]*)</template>`).FindStringSubmatch(page)
	if m == nil {
		t.Fatal("the page has no data")
	}
	z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(m[1])))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return page + string(data)
}

func TestWrite(t *testing.T) {
	page := withData(t, demo.Run())
	for _, want := range []string{
		"30 of 30 as expected; 7 of 15 scenarios differ between kernels, all explained by 1 known change.",
		"<li>dax_fault_hwpoison (1ea7ca1b0901, v6.5): 7 scenarios</li>",
		"dax: enable dax fault handler to report VM_FAULT_HWPOISON",
		`href="https://git.kernel.org/linus/1ea7ca1b0901"`,
		`faultline repro 'dax/ext4/shared-read@apt:bookworm,linux-image-6.12.*-amd64-unsigned' --run results/`,
		"Run /init as init process",
		"kernels/6.1.192--apt-bookworm-", // the console's path
		`"hex":"07000000000000000400000000000000004020143c7f00000c"`,
		"4 KiB are lost",
		`id="row=dax/ext4/shared-read"`,
		"<desc id=\"flips-desc\">6.1.192 to 6.12.117: dax_fault_hwpoison flips 7 scenarios. </desc>",
		"<td>absent in 7</td><td>seen in 7</td>", // the picture as a table
		// Differences are readable without a script.
		`<td><code>signals[0].code</code></td><td><pre>BUS_ADRERR</pre><small>6.1.192</small></td><td><pre>BUS_MCEERR_AR</pre><small>6.12.117</small></td>`,
	} {
		if !strings.Contains(page, want) && !strings.Contains(page, strings.ReplaceAll(want, "'", `\u0027`)) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(page, "ZgotmplZ") {
		t.Error("the template refused a value")
	}
}

// The page shows which cells an earlier run observed, and their number.
func TestTakenOver(t *testing.T) {
	run := demo.Run()
	if strings.Contains(render(t, run), "earlier runs") {
		t.Error("nothing was taken over")
	}
	run.Cells[0].ObservedBy, run.Cells[1].ObservedBy = "20260102T030405Z", "20260102T030405Z"
	page := withData(t, run)
	for _, want := range []string{"<b>2</b> observed by earlier runs", "observed by the earlier run 20260102T030405Z"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

// The page must work from disk without a network, and its policy must have the digests of
// its style and script.
func TestIsSelfContained(t *testing.T) {
	page := render(t, demo.Troubled())
	// Only the links of commits lead elsewhere.
	if m := regexp.MustCompile(`(?i)src="?(https?:|//)|<link|@import|url\(|href="?(https?:)?//[^g]`).FindString(page); m != "" {
		t.Errorf("the page loads from elsewhere: %s", m)
	}
	for tag, want := range map[string]string{"style": digest(pageStyle), "script": digest(pageScript)} {
		m := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(page, -1)
		if len(m) != 1 {
			t.Fatalf("got %d <%s>, want 1", len(m), tag)
		}
		if got := digest(m[0][1]); got != want {
			t.Errorf("<%s>: got %s, want %s, as in the policy", tag, got, want)
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
	if page := withData(t, demo.Troubled()); !strings.Contains(page, `\u003cimg src=x onerror=alert(1)\u003e`) {
		t.Error("the page does not show the guest's text")
	}
}

// TestPages writes pages for a look with a browser.
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

// Equal values are stored once, so that a large page still opens.
func TestSize(t *testing.T) {
	small, large := len(render(t, demo.Run())), len(render(t, demo.Large(demo.Run(), 130, 12)))
	if large > 2<<20 {
		t.Errorf("got %d bytes for 1560 cells, want at most %d", large, 2<<20)
	}
	if large < small {
		t.Errorf("got %d bytes for 1560 cells, want at least the %d for 30", large, small)
	}
}

func TestTimeline(t *testing.T) {
	var steps []observe.Step
	for _, a := range []string{
		"make file, 65536 bytes, written", "map file, 65536 bytes from 0, shared", "load file+0x4005", "machine check SRAR at file+0x4005, as victim accesses it",
		"pagemap of file+0x4005 in victim", "load file+0x4005", "load file+0x5005", "pread64(file, buffer, 4096, 16384)", "unpoison-pfn of file+0x4000", "load file+0x4005",
		"badblock pmem(nfit,ext4)+0x400000, 8 sectors", "pread64(pmem(nfit,ext4), buffer, 4096, 4194304)", "munmap(file+0x0, 65536)", "madvise(anon+0x4000, 4096, 100)", "store anon+0x4fff",
	} {
		steps = append(steps, observe.Step{Action: a})
	}
	var got []string
	for i, m := range timeline(steps) {
		if m != (moment{}) {
			got = append(got, fmt.Sprint(i, m))
		}
	}
	want := "[3 {file+0x4000  } 5 {  file+0x4000} 7 {  file+0x4000} 8 { file+0x4000 } 10 {pmem(nfit,ext4)+0x400000  } 11 {  pmem(nfit,ext4)+0x400000} 13 {anon+0x4000  } 14 {  anon+0x4000}]"
	if fmt.Sprint(got) != want {
		t.Errorf("got %v\nwant %s", got, want)
	}
}
