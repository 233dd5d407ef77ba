package change

// NodeCounters counts poisoned pages for each node.
var NodeCounters = Change{
	ID:          "node_counters",
	Commit:      "44b8f8bf2438",
	Subject:     "mm: memory-failure: add memory failure stats to sysfs",
	Since:       "v6.3",
	Effect:      "the folder memory_failure of a node in sysfs has counters of poisoned pages",
	CallPath:    []string{"action_result", "update_per_node_mf_stats"},
	Scenarios:   []string{"ram/anon/counters"},
	NeedsConfig: []string{"NUMA"},
}
