package html

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/faultline/faultline/framework/record/observe"
)

// moment is a step's effect on bad memory, by the text of its action.
type moment struct {
	Poisons string // the memory that it makes bad: "file+0x4000"
	Heals   string // the memory that it makes good again
	Touches string // the bad memory that it accesses
}

// reach is a range of bytes of a mapping, a file or a device.
type reach struct {
	of       string
	from, to int64 // to is exclusive
}

func (r reach) String() string { return fmt.Sprintf("%s+%#x", r.of, r.from) }

func (r reach) meets(o reach) bool { return r.of == o.of && r.from < o.to && o.from < r.to }

// badBytes is the size that an injection without one makes bad: memory_failure in
// mm/memory-failure.c poisons the whole page of a byte.
const badBytes = 4096

var (
	places    = regexp.MustCompile(`([\w.-]+(?:\([^)]*\))?)\+0x([0-9a-f]+)(?:, (\d+))?`)
	sectors   = regexp.MustCompile(`, (\d+) sectors$`)
	injecting = regexp.MustCompile(
		`^(badblock|corrupt-pfn|hard_offline_page|soft_offline_page|mce-inject|machine check)\b`,
	)
	// madvise(2): MADV_HWPOISON is 100, MADV_SOFT_OFFLINE 101.
	advising = regexp.MustCompile(`^madvise\(.*, 10[01]\)$`)
	healing  = regexp.MustCompile(`^unpoison-pfn\b`)
	// A system call that reads or writes at an offset: size and offset are the last
	// arguments.
	atOffset = regexp.MustCompile(`^p(?:read|write)\w*\((.+), [^,]+, (\d+), (\d+)\)$`)
	// An action that names a place but only reads its state, or changes a mapping.
	looking = regexp.MustCompile(`^(pagemap|badblocks|munmap|map|make|mount)\b`)
)

// timeline finds in a cell's steps where the poison is, and which step accesses it.
func timeline(steps []observe.Step) []moment {
	out := make([]moment, len(steps))
	var bad []reach
	for i, s := range steps {
		at, ok := placeOf(s.Action)
		switch {
		case !ok:
		case injecting.MatchString(s.Action) || advising.MatchString(s.Action):
			at = spread(s.Action, at)
			bad, out[i].Poisons = append(bad, at), at.String()
		case healing.MatchString(s.Action):
			at = spread(s.Action, at)
			var left []reach
			for _, b := range bad {
				if !b.meets(at) {
					left = append(left, b)
				}
			}
			bad, out[i].Heals = left, at.String()
		case looking.MatchString(s.Action):
		default:
			for _, b := range bad {
				if b.meets(at) {
					out[i].Touches = b.String()
				}
			}
		}
	}
	return out
}

// placeOf returns the range that an action names, if any.
func placeOf(action string) (reach, bool) {
	if m := atOffset.FindStringSubmatch(action); m != nil && !strings.Contains(m[1], "+0x") {
		n, from := number(m[2], 10), number(m[3], 10)
		return reach{m[1], from, from + n}, true
	}
	m := places.FindStringSubmatch(action)
	if m == nil {
		return reach{}, false
	}
	from := number(m[2], 16)
	return reach{m[1], from, from + max(1, number(m[3], 10))}, true
}

// spread returns the range that an injection makes bad: its sectors, or whole pages.
func spread(action string, at reach) reach {
	if m := sectors.FindStringSubmatch(action); m != nil {
		at.to = at.from + 512*number(m[1], 10)
		return at
	}
	at.from -= at.from % badBytes
	at.to = max(at.to, at.from+badBytes)
	return at
}

// number returns 0 for an invalid number, in an action of another version or a guest.
func number(digits string, base int) int64 {
	n, err := strconv.ParseInt(digits, base, 48)
	if err != nil {
		return 0
	}
	return n
}
