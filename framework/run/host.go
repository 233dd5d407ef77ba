package run

import (
	"os"
	"strconv"
	"strings"
)

// field is the value of the first line of a file that begins with the key.
func field(path, key, separator string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if k, v, ok := strings.Cut(line, separator); ok && strings.TrimSpace(k) == key {
			return strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	return ""
}

func osName() string { return field("/etc/os-release", "PRETTY_NAME", "=") }

func cpuName() string { return field("/proc/cpuinfo", "model name", ":") }

// availableMemory is what can be had without swapping, in bytes; 0 where the
// kernel does not tell (proc(5), MemAvailable).
func availableMemory() int64 {
	kb, _ := strconv.ParseInt(strings.TrimSuffix(field("/proc/meminfo", "MemAvailable", ":"), " kB"), 10, 64)
	return kb << 10
}
