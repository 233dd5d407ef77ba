package baseline

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/faultline/faultline/framework/record/observe"
)

// often is how many cells must share a line of the kernel log for it to be written once.
// It is more than two, so that a change of one cell rarely changes how others are written.
const often = 4

// mark matches the mark that replaces a shared line.
var mark = regexp.MustCompile(`^~[0-9a-f]{8}$`)

// shared returns the lines of logs that are written once, with their marks.
func shared(cells []observe.Cell) map[string]string {
	count := map[string]int{}
	for _, c := range cells {
		for _, l := range strings.Split(c.Witnesses[observe.WitnessLog], "\n") {
			count[l]++
		}
	}
	out := map[string]string{}
	for l, n := range count {
		if n >= often && l != "" && l != observe.NothingAboutPoison || mark.MatchString(l) {
			sum := sha256.Sum256([]byte(l))
			out[l] = "~" + hex.EncodeToString(sum[:4])
		}
	}
	return out
}

// restored returns a log with marks replaced by their lines; ok is false if it would be
// larger than mostLog.
func restored(log string, by map[string]string) (_ string, ok bool) {
	bytes := 0
	for l := range strings.SplitSeq(log, "\n") {
		if other, ok := by[l]; ok {
			l = other
		}
		if bytes += len(l) + 1; bytes > mostLog {
			return "", false
		}
	}
	return replaced(log, by), true
}

// replaced returns a log with lines replaced.
func replaced(log string, by map[string]string) string {
	lines := strings.Split(log, "\n")
	for i, l := range lines {
		if other, ok := by[l]; ok {
			lines[i] = other
		}
	}
	return strings.Join(lines, "\n")
}
