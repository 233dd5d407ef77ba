package change

// SoftOfflineFilter applies the filter of hwpoison_inject to soft offlining.
var SoftOfflineFilter = Change{
	ID:        "soft_offline_filter",
	Commit:    "9113eaf331bf",
	Subject:   "mm/memory-failure.c: add hwpoison_filter for soft offline",
	Since:     "v5.19",
	Effect:    "MADV_SOFT_OFFLINE of a page that the filter of hwpoison_inject excludes fails with EOPNOTSUPP",
	CallPath:  []string{"soft_offline_page", "hwpoison_filter"},
	Scenarios: []string{"ram/filter/soft-offline"},
}
