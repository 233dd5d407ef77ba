package vm

import (
	"os"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/cache"
)

// processor describes what runs the guest's instructions with KVM: this machine's CPU,
// with its microcode, and the host's kernel, which decides which features a guest gets. A
// template that was frozen with others cannot be used on this machine.
func processor() (string, error) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/version")
	return model(string(info)) + string(kernel), err
}

// ProcessorDigest returns a digest of this machine's CPU model, microcode and features,
// because the name of the model does not identify them.
func ProcessorDigest() (string, error) {
	info, err := os.ReadFile("/proc/cpuinfo")
	return cache.Key(model(string(info))), err
}

// model returns the lines of the first CPU in /proc/cpuinfo that identify it, without
// those that describe its current state, such as its frequency.
func model(cpuinfo string) string {
	first, _, _ := strings.Cut(cpuinfo, "\n\n")
	var b strings.Builder
	for line := range strings.Lines(first) {
		key, value, _ := strings.Cut(line, ":")
		if key = strings.TrimSpace(
			key,
		); slices.Contains(
			[]string{"vendor_id", "cpu family", "model", "model name", "stepping", "microcode", "flags"},
			key,
		) {
			b.WriteString(key + ": " + strings.TrimSpace(value) + "\n")
		}
	}
	return b.String()
}
