package html

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/execx"
)

// browser is Chromium with one page at a time.
type browser struct {
	t   *testing.T
	ctx context.Context
	dir string

	mu     sync.Mutex
	faults []string // console messages, and requests to a network
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("drives a browser")
	}
	path, err := execx.Find("chromium", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	// Chromium has no sandbox for root; it opens only our own pages here.
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WSURLReadTimeout(2*time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithErrorf(t.Logf)) // unknown events
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, dir: t.TempDir()}
	chromedp.ListenTarget(ctx, func(ev any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			b.faults = append(b.faults, "exception: "+ev.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			b.faults = append(b.faults, "console: "+string(ev.Type))
		case *log.EventEntryAdded:
			b.faults = append(b.faults, "log: "+ev.Entry.Text)
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(ev.Request.URL, "file:") {
				b.faults = append(b.faults, "request: "+ev.Request.URL)
			}
		case *cdppage.EventJavascriptDialogOpening:
			b.faults = append(b.faults, "a guest's script ran: "+ev.Message)
		}
	})
	b.do(network.Enable(), log.Enable(), runtime.Enable(), cdppage.Enable())
	return b
}

func (b *browser) do(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// is waits until an expression holds.
func (b *browser) is(expression string) {
	b.t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		holds := false
		// The page may be closing.
		if err = chromedp.Run(b.ctx, chromedp.Evaluate(`Boolean(`+expression+`)`, &holds)); err == nil && holds {
			return
		}
	}
	var at string
	_ = chromedp.Run(b.ctx, chromedp.Evaluate(`location.hash + " at " + document.activeElement.outerHTML.slice(0, 200)`, &at))
	b.t.Fatalf("%s: got no true within a minute, error %v; at %s", expression, err, at)
}

func (b *browser) number(expression string) (n int) {
	b.t.Helper()
	b.do(chromedp.Evaluate(expression, &n))
	return n
}

// open shows a run's page, at a fragment.
func (b *browser) open(run results.Run, fragment string) {
	b.t.Helper()
	file := filepath.Join(b.dir, "report.html")
	if err := os.WriteFile(file, []byte(render(b.t, run)), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate((&url.URL{Scheme: "file", Path: file}).String()+fragment))
}

// quiet fails the test if the page logged an error or made a request.
func (b *browser) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		b.t.Errorf("got %s, want no fault and no request", f)
	}
	b.faults = nil
}

const (
	shown  = `[...document.querySelectorAll("tr.row")].filter(r => !r.hidden).length`
	opened = `document.querySelector("dialog[open]")`
)

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// One browser for all tests, because it starts slowly.
func TestInABrowser(t *testing.T) {
	b := newBrowser(t)
	for _, ask := range []struct {
		name string
		f    func(*browser)
	}{
		{"filters", testFilters}, {"keyboard", testKeyboard}, {"a link to a cell", testLink}, {"folded columns", testFold},
		{"narrow, dark and printed", testMedia}, {"names", testNames}, {"hostile", testHostile}, {"large", testLarge},
	} {
		t.Run(ask.name, func(t *testing.T) {
			b.t = t
			ask.f(b)
			b.quiet()
		})
	}
}

func testFilters(b *browser) {
	b.open(demo.Run(), "")
	b.is(shown + ` === 15`)
	choose := func(name, value string) {
		b.do(chromedp.Evaluate(`{const c = document.querySelector(".controls").elements[`+quote(name)+`]; if (c.type === "checkbox") c.checked = true; else c.value = `+quote(value)+`; c.dispatchEvent(new Event("input", {bubbles: true}));}`, nil))
	}
	choose("group", "dax")
	b.is(shown + ` === 13`)
	choose("differences", "")
	b.is(shown + ` === 7`)
	choose("q", "MCEERR_ar xfs")
	b.is(shown + ` === 3`)
	choose("change", "dax_fault_hwpoison")
	b.is(shown + ` === 3`)
	b.do(chromedp.Evaluate(`document.querySelector("select[name=kernel]").selectedIndex = 1`, nil))
	choose("q", "xfs")
	b.is(shown + ` === 0`) // the first differs from none
	b.is(`location.hash === "#q=xfs&group=dax&change=dax_fault_hwpoison&kernel=apt:bookworm&differences=1"`)
	b.open(demo.Run(), "#group=syscalls")
	b.is(shown + ` === 2 && document.querySelector("select[name=group]").value === "syscalls"`)
	b.is(`document.querySelector(".controls output").textContent === "2 of 15 scenarios"`)
	b.open(demo.Run(), "#group=%zz&kernel=none&nothing=1")
	b.is(shown + ` > 0`)
}

func testKeyboard(b *browser) {
	b.open(demo.Run(), "")
	b.do(chromedp.Focus(`tr.row button[tabindex="0"]`), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowDown))
	b.is(`document.activeElement.closest("tr").id === "row=dax/ext4/shared-write" && document.activeElement.closest("td").cellIndex === 2`)
	b.is(`getComputedStyle(document.activeElement).outlineStyle !== "none"`)
	b.is(`document.querySelectorAll(".matrix tbody [tabindex='0']").length === 1`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.is(opened + `.textContent.includes("4 KiB are lost")`)
	b.do(chromedp.KeyEvent(kb.ArrowLeft))
	b.is(opened + `.querySelector("h2").textContent.includes("on 6.1.192")`)
	b.do(chromedp.KeyEvent(kb.Escape))
	b.is(`!` + opened + ` && document.activeElement.closest("tr").id === "row=dax/ext4/shared-write" && !location.hash.includes("cell")`)
}

func testLink(b *browser) {
	b.open(demo.Run(), "#group=dax&cell=dax/ext4/second-process@6.12.117")
	b.is(opened + `.querySelector("h2").textContent.includes("dax/ext4/second-process")`)
	b.is(opened + `.querySelectorAll(".step.poisons").length === 1 && ` + opened + `.querySelectorAll(".step.touches").length === 1`)
	b.is(opened + `.querySelector(".lane.poison.on") !== null && ` + opened + `.textContent.includes("--pause")`)
	b.is(opened + `.querySelector(".payload tbody").rows.length === 7`) // five fields, padding, the rest
	b.is(shown + ` === 13`)
	b.do(chromedp.Evaluate(`location.hash = "#row=dax/ext4/pread"`, nil))
	b.is(`!` + opened + ` && document.activeElement.closest("tr").id === "row=dax/ext4/pread"`)
}

func testFold(b *browser) {
	b.open(demo.AddKernels(demo.Run(), 4), "")
	b.is(`document.querySelectorAll("thead th[data-k]").length === 2 && document.querySelector(".fold").textContent === "5 alike, unfold"`)
	b.do(chromedp.Evaluate(`document.querySelector(".fold").click()`, nil))
	b.is(`document.querySelector("tr.row").cells.length === 8 && document.querySelector(".matrix thead tr").cells.length === 8`)
	b.do(chromedp.Evaluate(`document.querySelector("tr.row").cells[4].querySelector("button").click()`, nil))
	b.is(opened + `.querySelector("h2").textContent.includes("7.1.4")`)
	b.do(chromedp.Evaluate(`document.querySelector(".close").click(); document.querySelector(".fold").click()`, nil))
	b.is(`document.querySelector("tr.row").cells.length === 4`)
}

func testMedia(b *browser) {
	light := `getComputedStyle(document.body).backgroundColor`
	b.do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}))
	b.open(demo.AddKernels(demo.Troubled(), 10), "")
	b.is(light + ` === "rgb(22, 23, 26)"`)
	b.do(emulation.SetEmulatedMedia(), emulation.SetDeviceMetricsOverride(360, 740, 2, true))
	b.is(light + ` !== "rgb(22, 23, 26)" && document.documentElement.scrollWidth <= 360`)
	b.do(chromedp.Evaluate(`location.hash = "#cell=dax/ext4/shared-read@6.12.117"`, nil))
	b.is(opened + `.scrollWidth <= 360`)
	b.do(chromedp.Evaluate(opened+`.close()`, nil), emulation.ClearDeviceMetricsOverride())
	b.do(chromedp.ActionFunc(func(ctx context.Context) error {
		pdf, _, err := cdppage.PrintToPDF().Do(ctx)
		if err == nil && len(pdf) < 20<<10 {
			b.t.Errorf("got a printed page of %d bytes, want at least 20480", len(pdf))
		}
		return err
	}))
}

func testNames(b *browser) {
	b.open(demo.AddKernels(demo.Troubled(), 4), "#cell=dax/ext4/shared-read@6.12.117")
	b.is(opened)
	for range 2 { // the cell, then the page
		b.do(chromedp.ActionFunc(func(ctx context.Context) error {
			// Not with cdproto, which refuses a newer Chromium's description of a node.
			var tree struct {
				Nodes []struct {
					Ignored bool `json:"ignored"`
					Role    struct {
						Value any `json:"value"`
					} `json:"role"`
					Name struct {
						Value any `json:"value"`
					} `json:"name"`
				} `json:"nodes"`
			}
			err := cdp.Execute(ctx, "Accessibility.getFullAXTree", nil, &tree)
			clickable := 0
			for _, n := range tree.Nodes {
				if n.Ignored {
					continue
				}
				switch role := n.Role.Value; role {
				case "button", "link", "combobox", "searchbox", "checkbox", "dialog", "region", "search", "image", "grid", "columnheader", "rowheader":
					clickable++
					if name, ok := n.Name.Value.(string); !ok || strings.TrimSpace(name) == "" {
						b.t.Errorf("a %v has no name", role)
					}
				}
			}
			if err == nil && clickable < 5 {
				b.t.Errorf("got %d things with a role, want at least 5", clickable)
			}
			return err
		}))
		b.do(chromedp.Evaluate(`document.getElementById("cell").close()`, nil))
	}
}

func testHostile(b *browser) {
	b.open(demo.Hostile(), "")
	b.is(shown + ` === 15`)
	b.do(chromedp.Evaluate(`for (let r = 0; r < data_rows(); r++) for (const c of document.querySelectorAll("tr.row")[r].querySelectorAll("button")) { c.click(); document.getElementById("cell").close(); }
		function data_rows() { return document.querySelectorAll("tr.row").length; }`, nil))
	b.do(chromedp.Evaluate(`[...document.querySelectorAll("tr.row")].find(r => r.id.includes("script")).querySelector("button").click()`, nil))
	b.is(opened + `.textContent.includes("</script><script>alert(1)</script><img src=x onerror=alert(1)>]]>")`)
	b.is(`!document.querySelector("img, b.forged") && document.scripts.length === 1`)
	var words string
	b.do(chromedp.Evaluate(`document.documentElement.textContent`, &words))
	demo.Seen(b.t, words)
}

// With 130 scenarios on 12 kernels, little is drawn before a cell is opened.
func testLarge(b *browser) {
	b.open(demo.Large(demo.Run(), 130, 12), "")
	b.is(shown + ` === 130`)
	if n := b.number(`document.querySelectorAll("*").length`); n > 8000 {
		b.t.Errorf("got %d elements, want at most 8000", n)
	}
	b.do(chromedp.Evaluate(`document.querySelector(".fold").click()`, nil))
	if n := b.number(`document.querySelectorAll("*").length`); n > 12000 {
		b.t.Errorf("got %d elements, unfolded, want at most 12000", n)
	}
}
