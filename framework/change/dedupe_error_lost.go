package change

// DedupeErrorLost is a bug: what compares two files on DAX returns how its walk
// through the first one goes, and not what the comparison said.
//
// Until is inferred: Debian's changelog lists the fix under the stable update 7.3.4. A
// stable update takes what Linus's tree has already, and v7.3 itself does not have it.
// 7.3 to 7.3.3 were not observed.
var DedupeErrorLost = Change{
	ID:        "dedupe_error_lost",
	Commit:    "0e79e3736d54",
	Subject:   "fsdax: dedupe: iter two files at the same time",
	Since:     "v6.2",
	Until:     "v7.4",
	Effect:    "ioctl(FIDEDUPERANGE) of a poisoned DAX page tells that it shared the page, and has not; it said EIO",
	CallPath:  []string{"dax_dedupe_file_range_compare"},
	Scenarios: []string{"dax/*/dedupe"},
}
