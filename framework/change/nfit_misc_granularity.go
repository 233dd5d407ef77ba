package change

// NfitMiscGranularity lists as many bad sectors as a machine check covers.
var NfitMiscGranularity = Change{
	ID:       "nfit_misc_granularity",
	Commit:   "7917f9cdb503",
	Subject:  "acpi/nfit: rely on mce->misc to determine poison granularity",
	Since:    "v5.19",
	Effect:   "a machine check for a page adds the page's 8 sectors to the bad blocks of an nvdimm; it used to add one",
	CallPath: []string{"do_machine_check", "nfit_handle_mce"},
	Scenarios: []string{
		"mce/nfit/page", "mce/nfit/rebind", "mce/ext4/srar-*", "mce/xfs/srar-*", "mce/*/srao-early", "mce/*/srao-late",
		"mce/*/srao-in-guest", "mce/*/ucna", "mce/*/ucna-simulated", "mce/device/listed", "ram/kmem/srar",
	},
}
