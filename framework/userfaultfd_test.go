package framework

import "testing"

// The numbers are those of <linux/userfaultfd.h> on x86-64.
func TestIoctlNumber(t *testing.T) {
	for want, got := range map[int64]int64{
		0xc018aa3f: ioctlNumber(uffdAPI, uffdAPIBytes), 0xc020aa00: ioctlNumber(uffdRegister, uffdRangeBytes), 0xc020aa08: ioctlNumber(uffdPoison, uffdRangeBytes),
		0xc028aa05: ioctlNumber(uffdMove, uffdMoveBytes),
	} {
		if got != want {
			t.Errorf("got %#x, want %#x", got, want)
		}
	}
}
