package change

// DeviceDaxCompound makes the pages of a device-DAX mapping compound pages of the
// device's alignment.
var DeviceDaxCompound = Change{
	ID:      "device_dax_compound",
	Commit:  "14606001efb4",
	Subject: "device-dax: compound devmap support",
	Since:   "v5.17",
	Effect: "poison in a huge page of a device-DAX mapping is reported at the start of the huge page " +
		"instead of the poisoned page",
	CallPath:  []string{"memory_failure", "mf_generic_kill_procs", "dev_pagemap_mapping_shift"},
	Scenarios: []string{"dax/device/huge-page", "dax/device/gigantic-page"},
}
