package change

// DaxRecoveryWrite lets a write of a whole page clear its poison.
var DaxRecoveryWrite = Change{
	ID:      "dax_recovery_write",
	Commit:  "f42e8e5088b9",
	Subject: "pmem: implement pmem_recovery_write()",
	Since:   "v5.19",
	Effect: "write(2) of a whole poisoned DAX page clears the poison if the device can, or fails with EFAULT; " +
		"it used to fail with EIO",
	CallPath:  []string{"dax_iomap_iter", "pmem_recovery_write", "nvdimm_clear_poison"},
	Scenarios: []string{"dax/*/pwrite", "dax/*/pwrite-part", "dax/*/pwrite-span", "dax/*/mended", "dax/*/poison-mended"},
}
