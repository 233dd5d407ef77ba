package change

// MadeUp is a change that no kernel has.
var MadeUp = Change{
	ID:      "made_up",
	Commit:  "0123456789ab",
	Subject: "mm: make it up",
	Since:   "v6.9",
	Effect:  "nothing",
	Telling: []string{"dax/*/shared-read"},
}
