package vm

import (
	"os"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/cache"
)

// processor describes what runs the guest's instructions with KVM: this machine's
// processor, with its microcode, and the host's kernel, which decides what of it a guest
// gets. A template that was frozen on another one is not this machine's.
func processor() (string, error) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/version")
	return model(string(info)) + string(kernel), err
}

// ProcessorDigest is a digest of what this machine's processor is, with its microcode and
// features: two machines may name theirs alike.
func ProcessorDigest() (string, error) {
	info, err := os.ReadFile("/proc/cpuinfo")
	return cache.Key(model(string(info))), err
}

// model returns the lines of the first processor in /proc/cpuinfo that say what it is;
// others say what it does just now, as its frequency.
func model(cpuinfo string) string {
	first, _, _ := strings.Cut(cpuinfo, "\n\n")
	var b strings.Builder
	for line := range strings.Lines(first) {
		key, value, _ := strings.Cut(line, ":")
		if key = strings.TrimSpace(key); slices.Contains([]string{"vendor_id", "cpu family", "model", "model name", "stepping", "microcode", "flags"}, key) {
			b.WriteString(key + ": " + strings.TrimSpace(value) + "\n")
		}
	}
	return b.String()
}
