package change

// PagemapScan is a new operation: it reports categories of pages.
var PagemapScan = Change{
	ID:        "pagemap_scan",
	Commit:    "52526ca7fdb9",
	Subject:   "fs/proc/task_mmu: implement IOCTL to get and optionally clear info about PTEs",
	Since:     "v6.7",
	Effect:    "PAGEMAP_SCAN reports a poisoned page; the ioctl used to fail with ENOTTY",
	CallPath:  []string{"do_pagemap_scan", "pagemap_page_category"},
	Scenarios: []string{"ram/entry/pagemap-scan"},
}
