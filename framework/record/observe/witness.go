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
)

// Values of witnesses that have nothing to report.
const (
	NothingAboutPoison = "nothing about poison" // WitnessLog
	NoSplats           = "none"                 // WitnessSplats
	NotCounted         = "not counted"          // WitnessCorrupted, if the kernel does not count
)
