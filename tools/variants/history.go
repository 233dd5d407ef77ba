package main

// commit is a commit of the history.
type commit struct {
	subject string
	edits   []edit
	// merge are the commits of a branch that is merged here; it starts two commits
	// earlier.
	merge []commit
}

// Subjects of the commits that do more than add a remark. docs/guides/bisecting.md records the
// history's commit hashes, which depend on all subjects and edits. Their wording is kept for
// that reason: change it only together with a new recording on that page.
const (
	theChange = "dax: Tell a fault that it met poison"
	noBuild   = "nvdimm: Count what is claimed"
	noBoot    = "nvdimm: Give up early"
	noReturn  = "madvise: Populate until it works"
)

// In 6.1, MADV_POPULATE_READ loops forever on a block of the page cache that can't be
// read: VM_FAULT_RETRY is returned as no page and no error. Upstream fixed that differently
// in 631426ba1d45 (v6.9).
var (
	countTries = edit{
		"mm/madvise.c",
		"\tint locked = 1;\n\tlong pages;\n",
		"\tint locked = 1;\n\tint tries = 0;\n\tlong pages;\n",
	}
	givesUpOn = edit{"mm/madvise.c", "\t\tstart += pages * PAGE_SIZE;\n",
		"\t\ttries = pages ? 0 : tries + 1;\n\t\tif (tries == 3)\n\t\t\treturn -EFAULT;\n\t\tstart += pages * PAGE_SIZE;\n"}
)

var (
	broken  = edit{file: "drivers/nvdimm/claim.c", new: "\nint nd_claimed(void)\n{\n\treturn nd_claims;\n}\n"}
	givesUp = edit{
		file: "drivers/nvdimm/core.c",
		new: "\nstatic int __init nvdimm_give_up(void)\n{\n\tpanic(\"nvdimm gives up\");\n}\n" +
			"late_initcall(nvdimm_give_up);\n",
	}
)

// history lists the commits of the branch of that name, on top of 6.1: the change in the
// middle, one commit that does not build, some that do not boot, one merge. From the first
// commit up to noReturn, MADV_POPULATE_READ returns.
var history = []commit{
	{subject: "madvise: Give up a page that can't be had", edits: []edit{countTries, givesUpOn}},
	{
		subject: "nvdimm: Say what a region is",
		edits:   []edit{remark("drivers/nvdimm/region_devs.c", "A region is a range of persistent memory.")},
	},
	{
		subject: "dax: Say who owns a device",
		edits:   []edit{remark("drivers/dax/bus.c", "A dax device belongs to its bus.")},
	},
	{
		subject: "ext4: Say how files are mapped",
		edits:   []edit{remark("fs/ext4/file.c", "With -o dax a file is mapped without the page cache.")},
	},
	{
		subject: "nvdimm: Say what a label is",
		edits:   []edit{remark("drivers/nvdimm/label.c", "A label names a namespace.")},
	},
	{subject: "Merge the words on buses", merge: []commit{
		{
			subject: "nvdimm: Say what a bus is",
			edits:   []edit{remark("drivers/nvdimm/bus.c", "A bus has the regions of one provider.")},
		},
		{
			subject: "nvdimm: Say what e820 is",
			edits:   []edit{remark("drivers/nvdimm/e820.c", "A range of RAM that stands for persistent memory.")},
		},
	}},
	{
		subject: "xfs: Say how files are mapped",
		edits:   []edit{remark("fs/xfs/xfs_file.c", "With -o dax a file is mapped without the page cache.")},
	},
	{
		subject: "nvdimm: Say what a badblock is",
		edits:   []edit{remark("drivers/nvdimm/badrange.c", "A range that is known to be bad.")},
	},
	{subject: noBuild, edits: []edit{broken}},
	{subject: "nvdimm: Count nothing after all", edits: []edit{broken.undo()}},
	{subject: noBoot, edits: []edit{givesUp}},
	{
		subject: "nvdimm: Say what a namespace is",
		edits:   []edit{remark("drivers/nvdimm/namespace_devs.c", "A namespace is a disk of persistent memory.")},
	},
	{subject: "nvdimm: Never give up", edits: []edit{givesUp.undo()}},
	{subject: theChange, edits: whole},
	{
		subject: "nvdimm: Say what a pfn device is",
		edits:   []edit{remark("drivers/nvdimm/pfn_devs.c", "It keeps the pages of a namespace on the namespace.")},
	},
	{
		subject: "dax: Say what a holder is",
		edits:   []edit{remark("drivers/dax/super.c", "A holder is a file system on a dax device.")},
	},
	{subject: noReturn, edits: []edit{givesUpOn.undo(), countTries.undo()}},
	{
		subject: "ext4: Say what an inode is",
		edits:   []edit{remark("fs/ext4/inode.c", "An inode is a file without its name.")},
	},
	{
		subject: "nvdimm: Say what a dimm is",
		edits:   []edit{remark("drivers/nvdimm/dimm.c", "A dimm is a module that can be unplugged.")},
	},
	{
		subject: "xfs: Say what an inode is",
		edits:   []edit{remark("fs/xfs/xfs_iops.c", "An inode is a file without its name.")},
	},
}
