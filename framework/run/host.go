package run

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/results"
)

// field returns the value of the first line of a file that has the key.
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

// availableMemory returns the memory that is available without swapping, in bytes; 0 if
// the kernel does not report it (proc(5), MemAvailable).
func availableMemory() int64 {
	kb, _ := strconv.ParseInt(strings.TrimSuffix(field("/proc/meminfo", "MemAvailable", ":"), " kB"), 10, 64)
	return kb << 10
}

// host returns this machine's description for the record.
func host(qemuVersion string) results.Host {
	h := results.Host{OS: osName(), CPU: cpuName(), Cores: runtime.NumCPU(), QEMU: qemuVersion}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		h.MemoryBytes = int64(info.Totalram) * int64(info.Unit)
	}
	return h
}
