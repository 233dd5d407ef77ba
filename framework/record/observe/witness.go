package observe

// Names of witnesses. Those of a page or a disk are followed by a space and its
// canonical name: "kpageflags file+0x4000".
const (
	// WitnessLog is the kernel log: its lines about poison, each once and sorted.
	WitnessLog = "log"
	// WitnessSplats are the kernel's complaints about itself: see Splats.
	WitnessSplats = "splats"
	// WitnessTaint is the taint that was added during the scenario: see Taint.
	WitnessTaint     = "taint"
	WitnessCorrupted = "HardwareCorrupted" // /proc/meminfo
	WitnessPageFlags = "kpageflags"        // /proc/kpageflags
	WitnessPageMap   = "pagemap"           // /proc/PID/pagemap
	WitnessQEMU      = "qemu"              // QEMU's events
	WitnessBadBlocks = "badblocks"         // /sys/block/DISK/badblocks
	// WitnessEvents are the trace events ras:memory_failure_event: see MemoryFailureEvents.
	WitnessEvents = "ras:memory_failure_event"
	// WitnessCounters are the counters of node 0: see MemoryFailureCounters.
	WitnessCounters = "memory_failure counters"
)

// Optional reports whether a witness exists only on kernels that have the interface it is
// read from. If one of two cells does not have it, that is not a difference.
func Optional(witness string) bool { return witness == WitnessEvents || witness == WitnessCounters }

// Values of witnesses that have nothing to report.
const (
	NothingAboutPoison = "nothing about poison" // WitnessLog
	NoSplats           = "none"                 // WitnessSplats
	NoEvents           = "none"                 // WitnessEvents
	NotCounted         = "not counted"          // WitnessCorrupted, if the kernel does not count
)
