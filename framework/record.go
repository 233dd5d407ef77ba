package framework

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/faultline/faultline/framework/observe"
)

// recorder gathers what one scenario saw.
type recorder struct {
	started time.Time
	steps   []observe.Step
	witness map[string]string
	klog    []string
	console string // its tail, when the rig failed
	rig     error  // trouble that ended the scenario
}

func newRecorder() *recorder {
	return &recorder{started: time.Now(), witness: map[string]string{}}
}

// Seen is a recorded step's outcome, for assertions: Expect(seen).To(Follow(…)).
type Seen struct {
	observe.Outcome
	rec   *recorder
	index int
	at    string // the canonical address that was accessed, if any
}

func (r *recorder) add(actor, action string, o observe.Outcome, at string) *Seen {
	r.steps = append(r.steps, observe.Step{Actor: actor, Action: action, Outcome: o})
	return &Seen{Outcome: o, rec: r, index: len(r.steps) - 1, at: at}
}

// String is the step as an assertion's message shows it.
func (s *Seen) String() string {
	step := s.rec.steps[s.index]
	text := step.Actor + ": " + step.Action + " → " + s.Outcome.String()
	for _, sig := range s.Signals {
		text += " at " + sig.Addr
	}
	return text
}

// poisonLines are the kernel's words about poison: a second witness that is
// independent of the signal. Numbers in them that differ between runs (process
// ids, page frame numbers, times) are replaced.
var (
	poisonLines = regexp.MustCompile(`(?i)MCE: Killing|Memory failure|Machine check|Hardware Error|mce: |hwpoison|recovery action|Sending SIGBUS|Soft offlin|Injecting|I/O error|critical medium|Kernel panic`)
	stamp       = regexp.MustCompile(`^\[\s*\d+\.\d+\] `)
	process     = regexp.MustCompile(`\b([^ :]+):(\d+) due to`)
	pfn         = regexp.MustCompile(`\b(0x[0-9a-f]+|[0-9a-f]{9,16})\b`)
	address     = regexp.MustCompile(`\bat [0-9a-f]{5,16}\b`)
	// What a machine check's registers held is what was injected; and of unpoison
	// the words changed, while its errno tells the same.
	noWitness = regexp.MustCompile(`mce: \[Hardware Error\]: +(CPU \d|ADDR|RIP|TSC|PROCESSOR|PPIN)|^Unpoison: `)
	clock     = regexp.MustCompile(`TIME \d+|TSC [0-9a-f]+`)
)

// canonicalLine is a line of the kernel log about poison, with roles for process
// ids; "" for a line about something else.
func canonicalLine(l string, roles map[string]string) string {
	l = stamp.ReplaceAllString(l, "")
	if !poisonLines.MatchString(l) || noWitness.MatchString(l) {
		return ""
	}
	l = process.ReplaceAllStringFunc(l, func(m string) string {
		role, known := roles[process.FindStringSubmatch(m)[2]]
		if !known {
			role = "another process"
		}
		return role + " due to"
	})
	l = clock.ReplaceAllString(l, "")
	l = address.ReplaceAllString(l, "at N")
	return strings.TrimSpace(pfn.ReplaceAllString(l, "N"))
}

// logWitness is the canonical form of the kernel log: its lines about poison,
// each once and sorted, because work items of their own print some of them.
func logWitness(lines []string, roles map[string]string) string {
	var kept []string
	for _, l := range lines {
		if l = canonicalLine(l, roles); l != "" && !slices.Contains(kept, l) {
			kept = append(kept, l)
		}
	}
	if len(kept) == 0 {
		return "nothing about poison"
	}
	slices.Sort(kept)
	return strings.Join(kept, "\n")
}
