package change

// DaxFolios makes the DAX pages of a huge mapping one large folio.
var DaxFolios = Change{
	ID:      "dax_folios",
	Commit:  "38607c62b34b",
	Subject: "fs/dax: properly refcount fs dax pages",
	Since:   "v6.15",
	Effect: "poison in a huge DAX page is reported at the start of the huge page instead of the poisoned page, " +
		"and a process that maps only a small page of it gets no SIGBUS",
	CallPath:  []string{"memory_failure", "mf_generic_kill_procs", "dev_pagemap_mapping_shift"},
	Scenarios: []string{"mce/*/srar-huge", "dax/*/madvise-huge", "dax/*/madvise-tail"},
	Witnesses: []WitnessEffect{
		{
			Scenarios: "dax/*/madvise-tail",
			Witness:   "log",
			Before:    "Memory failure: N: Sending SIGBUS to * due to hardware memory corruption",
		},
	},
	Signatures: []Signature{
		{ // a load that consumes poison, and MADV_HWPOISON
			Places: []string{"dax-*-huge"}, Actions: []string{"load BYTE", "madvise(*, 4096, 100)"},
			Before: "SIGBUS BUS_MCEERR_AR lsb=21 at PAGE*", With: "SIGBUS BUS_MCEERR_AR lsb=21 at START*",
		},
	},
}
