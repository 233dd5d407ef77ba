package change

// DeviceDaxCompound makes a page of a device-DAX mapping part of one compound page of
// the device's alignment.
var DeviceDaxCompound = Change{
	ID:        "device_dax_compound",
	Commit:    "14606001efb4",
	Subject:   "device-dax: compound devmap support",
	Since:     "v5.17",
	Effect:    "poison in a huge page of a device-DAX mapping is reported at the huge page's start, where it was at the page's",
	CallPath:  []string{"memory_failure", "mf_generic_kill_procs", "dev_pagemap_mapping_shift"},
	Scenarios: []string{"dax/device/huge-page"},
}
