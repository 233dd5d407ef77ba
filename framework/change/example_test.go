package change_test

import (
	"fmt"

	"github.com/faultline/faultline/framework/change"
)

func ExampleList_Named() {
	fmt.Println(change.All().Named("dax_fault_hwpoison"))
	// Output: dax_fault_hwpoison (1ea7ca1b0901, v6.5)
}

func ExampleChange_Covers() {
	fmt.Println(change.DaxFaultHWPoison.Covers("dax/ext4/shared-read"), change.DaxFaultHWPoison.Covers("dax/ext4/past-eof"))
	// Output: true false
}
