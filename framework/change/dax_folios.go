package change

// DaxFolios makes a DAX page of a huge mapping part of one large folio.
var DaxFolios = Change{
	ID:        "dax_folios",
	Commit:    "38607c62b34b",
	Subject:   "fs/dax: properly refcount fs dax pages",
	Since:     "v6.15",
	Effect:    "poison in a DAX page mapped as a huge one is reported at the huge page's start, where it was at the page's, and to nobody who has a small page of it mapped",
	CallPath:  []string{"memory_failure", "mf_generic_kill_procs", "dev_pagemap_mapping_shift"},
	Scenarios: []string{"mce/*/srar-huge", "dax/*/madvise-huge", "dax/*/madvise-tail"},
	Witnesses: []Move{
		{Scenarios: "dax/*/madvise-tail", Witness: "log", Before: "Memory failure: N: Sending SIGBUS to * due to hardware memory corruption"},
	},
}
