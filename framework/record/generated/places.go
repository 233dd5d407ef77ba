package generated

import "slices"

// Place is memory that a program uses, and how it is mapped.
type Place struct {
	Name string
	Kind Kind
	// Touched is set if the victim has accessed the page before the first step.
	Touched bool
	// Plain are places to try in its place, simpler first, when a program is reduced.
	Plain []string
}

func (p Place) name() string { return p.Name }

// Kind is a set of properties of a place, on which operations depend.
type Kind int

// Properties of a place.
const (
	File      Kind = 1 << iota // it is a file, which a second process can map
	Storage                    // it is on a device that lists bad blocks
	DAX                        // on DAX, without the page cache
	Anonymous                  // private memory without a file
	Huge                       // pages of 2 MiB
	Hugetlb                    // of hugetlb
	Private                    // a private mapping of a file
	Device                     // device-DAX: no file system, and no read(2)
)

// Places returns all places, in their order.
func Places() []Place { return slices.Clone(places) }

var places = []Place{
	{Name: "anon", Kind: Anonymous},
	{Name: "thp", Kind: Anonymous | Huge, Plain: []string{"anon"}},
	{Name: "ksm", Kind: Anonymous, Touched: true, Plain: []string{"anon"}},
	{Name: "swapped", Kind: Anonymous | Storage, Touched: true, Plain: []string{"anon"}},
	{Name: "hugetlb", Kind: Anonymous | Huge | Hugetlb, Plain: []string{"anon", "thp"}},
	{Name: "tmpfs-shared", Kind: File, Plain: []string{"anon"}},
	{Name: "tmpfs-private", Kind: File | Private, Plain: []string{"anon", "tmpfs-shared"}},
	{Name: "tmpfs-huge", Kind: File | Huge, Plain: []string{"anon", "tmpfs-shared"}},
	{Name: "hugetlbfs-shared", Kind: File | Huge | Hugetlb, Plain: []string{"tmpfs-shared", "hugetlb"}},
	{Name: "hugetlbfs-private", Kind: File | Huge | Hugetlb | Private, Plain: []string{"hugetlb", "hugetlbfs-shared"}},
	{Name: "cache-ext4-shared", Kind: File | Storage, Plain: []string{"anon", "tmpfs-shared"}},
	{Name: "cache-ext4-private", Kind: File | Storage | Private, Plain: []string{"anon", "cache-ext4-shared"}},
	{Name: "cache-xfs-shared", Kind: File | Storage, Plain: []string{"tmpfs-shared", "cache-ext4-shared"}},
	{
		Name: "cache-xfs-private", Kind: File | Storage | Private,
		Plain: []string{"cache-ext4-private", "cache-xfs-shared"},
	},
	{Name: "dax-ext4-shared", Kind: File | Storage | DAX, Plain: []string{"cache-ext4-shared"}},
	{Name: "dax-ext4-private", Kind: File | Storage | DAX | Private, Plain: []string{"dax-ext4-shared"}},
	{Name: "dax-ext4-sync", Kind: File | Storage | DAX, Plain: []string{"dax-ext4-shared"}},
	{Name: "dax-ext4-huge", Kind: File | Storage | DAX | Huge, Plain: []string{"dax-ext4-shared"}},
	{Name: "dax-ext4-unwritten", Kind: File | Storage | DAX, Plain: []string{"dax-ext4-shared"}},
	{Name: "dax-xfs-shared", Kind: File | Storage | DAX, Plain: []string{"dax-ext4-shared"}},
	{
		Name: "dax-xfs-private", Kind: File | Storage | DAX | Private,
		Plain: []string{"dax-ext4-private", "dax-xfs-shared"},
	},
	{Name: "dax-xfs-huge", Kind: File | Storage | DAX | Huge, Plain: []string{"dax-ext4-huge", "dax-xfs-shared"}},
	{Name: "dax-reflink-shared", Kind: File | Storage | DAX, Plain: []string{"dax-ext4-shared", "dax-xfs-shared"}},
	{Name: "dax-reflink-private", Kind: File | Storage | DAX | Private, Plain: []string{"dax-xfs-private"}},
	{Name: "dax-e820-shared", Kind: File | Storage | DAX, Plain: []string{"dax-ext4-shared"}},
	{Name: "dax-virtio-shared", Kind: File | Storage | DAX, Plain: []string{"dax-ext4-shared"}},
	{Name: "device-dax", Kind: File | DAX | Huge | Device, Plain: []string{"dax-ext4-shared"}},
}
