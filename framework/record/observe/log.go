package observe

import (
	"regexp"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/klog"
)

// poisonLines matches kernel messages about poison: a witness that is independent of the
// signal. Numbers in them that differ between runs (process ids, page frame numbers, times)
// are replaced.
var (
	poisonLines = regexp.MustCompile(
		`(?i)MCE: Killing|Memory failure|Machine check|Hardware Error|mce: |hwpoison|recovery action|Sending SIGBUS|Soft offlin|Injecting|I/O error|critical medium|Kernel panic`,
	)
	process = regexp.MustCompile(`\b([^ :]+):(\d+) due to`)
	pfn     = regexp.MustCompile(`\b(0x[0-9a-f]+|[0-9a-f]{9,16})\b`)
	address = regexp.MustCompile(`\bat [0-9a-f]{5,16}\b`)
	// The registers of a machine check are those that were injected; the messages of
	// unpoison changed between releases, and its errno shows the same. The injector prints
	// its message when the module is loaded, or at boot if it is built in.
	noWitness = regexp.MustCompile(
		`mce: \[Hardware Error\]: +(CPU \d|ADDR|RIP|TSC|PROCESSOR|PPIN)|^Unpoison: |^mce: Machine check injector initialized`,
	)
	clock = regexp.MustCompile(`TIME \d+|TSC [0-9a-f]+`)
	// The source line of an ext4 message (ext4_msg in fs/ext4/super.c).
	sourceLine = regexp.MustCompile(`(EXT4-fs .*: \w+):\d+: `)
	// %pe prints the name of an errno only with CONFIG_SYMBOLIC_ERRNAME (lib/errname.c).
	number = strings.NewReplacer("(-133)", "(-EHWPOISON)")
	disk   = regexp.MustCompile(`\bpmem\d+\b`)
)

// Roles are the canonical names of what has different numbers in each guest.
type Roles struct {
	Processes map[string]string // by process id
	Disks     map[string]string // by the kernel's name, "pmem0", whose number depends on the order of drivers
	// Files are the canonical names of files whose paths differ from them, by path.
	Files map[string]string
}

// Named returns a text with the canonical names of disks and files.
func (r Roles) Named(text string) string {
	for path, name := range r.Files {
		text = strings.ReplaceAll(text, path, name)
	}
	return disk.ReplaceAllStringFunc(text, func(d string) string {
		if name := r.Disks[d]; name != "" {
			return name
		}
		return d
	})
}

// canonicalLine returns the canonical form of a line of the kernel log, or "" if it is not
// about poison.
func canonicalLine(l string, roles Roles) string {
	l, user := klog.Text(l)
	if user {
		return "" // written by a program
	}
	l = number.Replace(l)
	if !poisonLines.MatchString(l) || noWitness.MatchString(l) {
		return ""
	}
	l = process.ReplaceAllStringFunc(l, func(m string) string {
		role, known := roles.Processes[process.FindStringSubmatch(m)[2]]
		if !known {
			role = "another process"
		}
		return role + " due to"
	})
	l = clock.ReplaceAllString(l, "")
	l = sourceLine.ReplaceAllString(l, "$1: ")
	l = address.ReplaceAllString(l, "at N")
	return strings.TrimSpace(roles.Named(pfn.ReplaceAllString(l, "N")))
}

// Log returns the canonical form of the kernel log: its lines about poison except those in
// leftOut, each once and sorted, because separate work items print some of them.
func Log(lines []string, roles Roles, leftOut []Ignored) string {
	var kept []string
	for _, l := range lines {
		if l = canonicalLine(l, roles); l != "" && !slices.Contains(kept, l) && !isLeftOut(WitnessLog, l, leftOut) {
			kept = append(kept, l)
		}
	}
	if len(kept) == 0 {
		return NothingAboutPoison
	}
	slices.Sort(kept)
	return strings.Join(kept, "\n")
}

func isLeftOut(witness, text string, leftOut []Ignored) bool {
	return slices.ContainsFunc(leftOut, func(l Ignored) bool {
		matched, err := regexp.MatchString(l.Pattern, text)
		return l.Witness == witness && matched && err == nil
	})
}
