package change

// UnpoisonPageCount handles page counts when a page is unpoisoned. 5.10.218 does not have it;
// its release is from memory.
var UnpoisonPageCount = Change{
	ID:        "unpoison_page_count",
	Commit:    "bf181c582588",
	Subject:   "mm/hwpoison: fix unpoison_memory()",
	Since:     "v5.17",
	Effect:    "a write of a DAX page to unpoison-pfn fails with EBUSY; it used to succeed",
	CallPath:  []string{"unpoison_memory", "get_hwpoison_page"},
	Scenarios: []string{"dax/*/unpoison"},
}
