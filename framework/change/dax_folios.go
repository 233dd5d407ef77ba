package change

// DaxFolios makes a DAX page of a huge mapping part of one large folio.
var DaxFolios = Change{
	ID:      "dax_folios",
	Commit:  "38607c62b34b",
	Subject: "fs/dax: properly refcount fs dax pages",
	Since:   "v6.15",
	Effect:  "poison that is consumed in a DAX page mapped as a huge one is reported at the huge page's start, where it was at the page's",
	Way:     []string{"memory_failure", "mf_generic_kill_procs", "dev_pagemap_mapping_shift"},
	Telling: []string{"mce/*/srar-huge", "dax/*/madvise-huge"},
}
