package docs_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"strings"
	"testing"
)

// pictureFile is the README's picture.
const pictureFile = "matrix.svg"

// pictured are the scenarios of the picture.
var pictured = []string{
	"dax/ext4/shared-read", "dax/ext4/private-cow", "dax/xfs-reflink/reflink-cow", "dax/ext4/pread", "dax/ext4/past-eof",
	"mce/anon/cow", "ram/anon/load", "ram/swap/bad-block-swapoff",
}

// TestPicture draws recorded cells: a row is a scenario, a column a kernel, and a color
// one of the row's results. -update writes the file.
func TestPicture(t *testing.T) {
	o := readObserved(t)
	if len(o.Kernels) == 0 {
		t.Skip("no run is recorded")
	}
	want := picture(t, o)
	if err := xml.Unmarshal(want, new(any)); err != nil {
		t.Fatalf("the picture is not XML: %v", err)
	}
	got, err := os.ReadFile(pictureFile)
	switch {
	case bytes.Equal(got, want):
	case *update:
		if err := os.WriteFile(pictureFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("docs/%s is not that of the recorded run (%v); run go test -short ./docs -run Picture -update", pictureFile, err)
	}
}

func picture(t *testing.T, o observed) []byte {
	t.Helper()
	const left, wide, line, top = 210, 234, 16, 44
	colors := []string{"#ddf4ff", "#fff1c9", "#ffe0dd", "#e2f5e2"}
	text := func(s string) string {
		var b bytes.Buffer
		if err := xml.EscapeText(&b, []byte(s)); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	var b bytes.Buffer
	width, height := left+wide*len(o.Kernels), top+8
	high := map[string]int{} // of the rows
	for _, id := range pictured {
		for _, k := range o.Kernels {
			high[id] = max(high[id], line*len(lines(o.Seen[id][k]))+14)
		}
		height += high[id]
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="ui-monospace,monospace" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<title>What user space observes of poison on %d kernels</title><rect width="100%%" height="100%%" fill="#fff"/>`+"\n", len(o.Kernels))
	for i, k := range o.Kernels {
		version, _, _ := strings.Cut(k, " ")
		fmt.Fprintf(&b, `<text x="%d" y="26" font-weight="bold">Linux %s</text>`+"\n", left+wide*i+8, text(version))
	}
	y := top
	for _, id := range pictured {
		fmt.Fprintf(&b, `<text x="8" y="%d">%s</text>`+"\n", y+19, text(id))
		var results []string
		for i, k := range o.Kernels {
			seen := o.Seen[id][k]
			if seen == "" {
				t.Fatalf("the recorded run has no cell of %s on %s", id, k)
			}
			at := 0
			for at < len(results) && results[at] != seen {
				at++
			}
			if at == len(results) {
				results = append(results, seen)
			}
			fill := colors[at%len(colors)]
			if strings.HasPrefix(seen, "skipped: ") {
				fill = "#f0f0f0"
			}
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s" stroke="#fff" stroke-width="2"/>`+"\n",
				left+wide*i, y, wide, high[id], fill)
			for n, part := range lines(seen) {
				fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text>`+"\n", left+wide*i+8, y+19+line*n, text(part))
			}
		}
		y += high[id]
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// lines returns the results of a cell, one per line, without the text of a panic.
func lines(seen string) (all []string) {
	if strings.HasPrefix(seen, "skipped: ") {
		return []string{"skipped"}
	}
	for part := range strings.SplitSeq(seen, "; ") {
		if strings.HasPrefix(part, "Kernel panic") {
			part = "Kernel panic"
		}
		all = append(all, strings.TrimSpace(part))
	}
	return all
}
