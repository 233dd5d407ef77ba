package change

// AlreadyPoisoned reports to the injector that a page was poisoned before. Its release is
// inferred from the date in blame listings, 2021-06-24.
var AlreadyPoisoned = Change{
	ID:        "already_poisoned",
	Commit:    "47af12bae17f",
	Subject:   "mm,hwpoison: return -EHWPOISON to denote that the page has already been poisoned",
	Since:     "v5.13",
	Effect:    "a second write of the same page to hard_offline_page fails with EHWPOISON; it used to succeed",
	CallPath:  []string{"hard_offline_page_store", "memory_failure"},
	Scenarios: []string{"ram/anon/twice"},
}
