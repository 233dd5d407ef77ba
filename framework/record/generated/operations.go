package generated

import "slices"

// Operation is what a step does to the page.
type Operation struct {
	Name string
	// Injection is set if it injects an error.
	Injection bool
	// Frame is set if it needs the page's frame, so that the page was accessed before.
	Frame bool
	// After is set if it makes sense only after an injection; Poisoned, only after one into
	// a frame.
	After, Poisoned bool
	// Touches is set if the page is present after it, without an error.
	Touches bool
	// Once is set if a program can do it only once.
	Once bool
	// Pins is set if it pins the page until the program ends; Breaks, if on DAX it waits for
	// pinned pages (xfs_break_layouts, ext4_break_layouts): together they hang on any kernel.
	Pins, Breaks bool
	// Exact is set if it raises a machine check at an access, which needs TCG.
	Exact bool
	// Roles are the processes that can do it besides the victim.
	Roles []Role
	// With are the properties that a place must have, Without those that it must not have.
	With, Without Kind
}

func (o Operation) name() string { return o.Name }

// Fits reports whether the operation is possible on a place.
func (o Operation) Fits(p Place) bool { return p.Kind&o.With == o.With && p.Kind&o.Without == 0 }

// Fork is the name of the operation that makes the child.
const Fork = "fork"

// Operations returns all operations, in their order.
func Operations() []Operation { return slices.Clone(operations) }

var operations = []Operation{
	// Injections.
	{Name: "badblock", Injection: true, With: Storage},
	{Name: "poison", Injection: true, Touches: true},
	{Name: "soft-offline", Injection: true, Touches: true},
	{Name: "corrupt-pfn", Injection: true, Frame: true},
	{Name: "hard-offline", Injection: true, Frame: true},
	{Name: "soft-offline-pfn", Injection: true, Frame: true},
	{Name: "consume", Injection: true, Frame: true, Exact: true},
	{Name: "unpoison", After: true, Poisoned: true},

	// Accesses.
	{Name: "load", Touches: true, Roles: []Role{Child, Second, Thread}},
	{Name: "store", Touches: true, Roles: []Role{Child, Second, Thread}},
	{Name: "load-next"},
	{Name: "store-next"},
	{Name: Fork, Once: true},

	// Advice and state of the page (madvise(2), mlock(2), mprotect(2), mremap(2)).
	{Name: "dontneed"},
	{Name: "free", With: Anonymous},
	{Name: "willneed", With: File},
	{Name: "cold"},
	{Name: "pageout"},
	{Name: "populate-read"},
	{Name: "populate-write"},
	{Name: "collapse"},
	{Name: "remove", Breaks: true, With: File, Without: Private},
	{Name: "guard"},
	{Name: "mlock"},
	{Name: "mprotect"},
	{Name: "mremap", Without: Huge},
	{Name: "mincore"},
	{Name: "move-pages"},
	{Name: "pagemap"},

	// System calls that access the page through its mapping.
	{Name: "write-from"},
	{Name: "read-into"},
	{Name: "vmsplice", Pins: true},
	{Name: "process-read", Once: true},

	// System calls on the file.
	{Name: "pread", With: File, Without: Device, Roles: []Role{Second}},
	{Name: "pwrite", With: File, Without: Device | Hugetlb},
	{Name: "pwrite-part", With: File, Without: Device | Hugetlb},
	{Name: "msync", With: File},
	{Name: "fsync", With: File, Without: Device},
	{Name: "punch", Breaks: true, With: File, Without: Device | Hugetlb},
	{Name: "punch-part", Breaks: true, With: File, Without: Device | Hugetlb},
	{Name: "truncate", Breaks: true, With: File, Without: Device | Hugetlb},
	{Name: "truncate-part", Breaks: true, With: File, Without: Device | Hugetlb},
	{Name: "sendfile", With: File, Without: Device},
}
