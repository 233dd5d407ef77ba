package change

// DedupeErrorLost is a bug: the function that compares two DAX files returns the state of
// its iteration over the first file instead of the result of the comparison.
//
// 6.12.118 and 7.3.4 do not show it; 6.12.117 and 7.3-rc7 do. Until is inferred: Debian's
// changelog lists the fix under the stable update 7.3.4. A stable update takes only what
// Linus's tree has already, and v7.3 itself does not have the fix. 7.3 to 7.3.3 were not
// observed.
var DedupeErrorLost = Change{
	ID:      "dedupe_error_lost",
	Commit:  "0e79e3736d54",
	Subject: "fsdax: dedupe: iter two files at the same time",
	Since:   "v6.2",
	Until:   "v7.4",
	Fixed:   []string{"7.3.4", "6.12.118"},
	Effect: "ioctl(FIDEDUPERANGE) reports success for a poisoned DAX page that it did not share; " +
		"it used to fail with EIO",
	CallPath:  []string{"dax_dedupe_file_range_compare"},
	Scenarios: []string{"dax/*/dedupe"},
}
