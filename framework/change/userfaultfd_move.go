package change

// UserfaultfdMove is a new operation: it moves pages to another address.
var UserfaultfdMove = Change{
	ID:        "userfaultfd_move",
	Commit:    "adef440691ba",
	Subject:   "userfaultfd: UFFDIO_MOVE uABI",
	Since:     "v6.8",
	Effect:    "UFFDIO_MOVE moves good pages; the ioctl used to fail with EINVAL",
	CallPath:  []string{"userfaultfd_move", "move_pages"},
	Scenarios: []string{"ram/entry/userfaultfd-move"},
}
