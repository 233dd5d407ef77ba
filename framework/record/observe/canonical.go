package observe

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// The functions in this file return values of witnesses in canonical form, without what
// differs from run to run.

// BadSectors returns the text of a badblocks file without sector numbers, which depend on
// the layout of the file system: "none", "8 sectors", "8 sectors, 1 sectors".
func BadSectors(text string) string {
	var parts []string
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) == 2 && decimal(words[0]) && decimal(words[1]) {
			parts = append(parts, words[1]+" sectors")
		} else { // no kernel prints that, but a guest may print anything
			parts = append(parts, fmt.Sprintf("no sectors: %.40q", strings.TrimSpace(line)))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// decimal reports whether a text is a number as the kernel prints it.
func decimal(s string) bool {
	n, err := strconv.ParseUint(s, 10, 64)
	return err == nil && s == strconv.FormatUint(n, 10)
}

// PageMapEntry describes an entry of a pagemap: poison that was unmapped from a page table
// leaves a hwpoison swap entry (bit 62), but not always for memory of a file.
func PageMapEntry(entry uint64) string {
	switch {
	case entry>>63 != 0:
		return "present"
	case entry>>62&1 != 0:
		return "swap entry"
	}
	return "absent"
}

// HardwareCorrupted returns the value in /proc/meminfo; a fresh guest has 0 kB.
func HardwareCorrupted(meminfo []byte) string {
	for line := range strings.Lines(string(meminfo)) {
		if value, ok := strings.CutPrefix(line, "HardwareCorrupted:"); ok {
			return strings.TrimSpace(value)
		}
	}
	return NotCounted
}

// PageFlags describes a page's flags with regard to poison: bit 19 is KPF_HWPOISON, bit 20
// KPF_NOPAGE (include/uapi/linux/kernel-page-flags.h). Persistent memory has no flags, and
// its entry may be beyond the end of the file.
func PageFlags(entry []byte) string {
	if len(entry) != 8 {
		return "no page"
	}
	switch flags := binary.LittleEndian.Uint64(entry); {
	case flags>>19&1 != 0:
		return "hwpoison"
	case flags>>20&1 != 0:
		return "no page"
	}
	return "no hwpoison"
}

// PageKind describes a page by its flags in /proc/kpageflags, such as "anonymous, huge".
func PageKind(entry []byte) string {
	if len(entry) != 8 {
		return "no page"
	}
	flags := binary.LittleEndian.Uint64(entry)
	var kinds []string
	for _, f := range []struct {
		bit  int
		word string
	}{{12, "anonymous"}, {13, "in the swap cache"}, {17, "hugetlb"}, {22, "huge"}, {19, "hwpoison"}} {
		if flags>>f.bit&1 != 0 {
			kinds = append(kinds, f.word)
		}
	}
	if len(kinds) == 0 {
		return "plain"
	}
	return strings.Join(kinds, ", ")
}

// PageMap is PageMapEntry for an entry as read from the file.
func PageMap(entry []byte) string {
	if len(entry) != 8 {
		return "gone"
	}
	return PageMapEntry(binary.LittleEndian.Uint64(entry))
}

// manyEvents bounds how often in a row MemoryFailures lists the same event. The number of
// events from an endless repetition depends on the host.
const manyEvents = 16

// MemoryFailures returns the data of QEMU's events (MEMORY_FAILURE in qapi/run-state.json)
// as text.
func MemoryFailures(events []map[string]any) string {
	var words []string
	for _, e := range events {
		text := fmt.Sprintf("MEMORY_FAILURE %v %v", e["recipient"], e["action"])
		if flags, ok := e["flags"].(map[string]any); ok {
			var set []string
			for name, value := range flags {
				if value == true {
					set = append(set, name)
				}
			}
			sort.Strings(set)
			text += " " + strings.Join(set, " ")
		}
		words = append(words, strings.TrimSpace(text))
	}
	var listed []string
	for len(words) > 0 {
		n := 1
		for n < len(words) && words[n] == words[0] {
			n++
		}
		if n > manyEvents {
			listed = append(listed, words[0]+" again and again")
		} else {
			listed = append(listed, words[:n]...)
		}
		words = words[n:]
	}
	return strings.Join(listed, ", ")
}

// Data returns an outcome with data: long data is cut to 16 bytes, with a digest of all of
// it.
func Data(data []byte) (o Outcome) {
	o.Data = hex.EncodeToString(data[:min(len(data), 16)])
	if len(data) > 16 {
		sum := sha256.Sum256(data)
		o.Digest = hex.EncodeToString(sum[:8])
	}
	return o
}
