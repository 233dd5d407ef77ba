package debian

import (
	"os/exec"
	"testing"
)

func TestCompareVersions(t *testing.T) {
	ordered := []string{"6.1~rc1-1", "6.1-1~exp1", "6.1-1", "6.1.9-1", "6.1.10-1", "6.1.10-1+b1", "6.1.10-2", "6.1a-1", "6.1+x-1", "6.12.1-1~bpo12+1", "6.12.1-1", "1:5.0-1"}
	dpkg, _ := exec.LookPath("dpkg")
	for i, a := range ordered {
		for j, b := range ordered {
			got := CompareVersions(a, b)
			if dpkg == "" {
				if got < 0 != (i < j) || got > 0 != (i > j) {
					t.Errorf("compare %s %s: got %d, want the order of %d and %d", a, b, got, i, j)
				}
				continue
			}
			op := map[bool]string{true: "lt", false: "ge"}[got < 0]
			if got == 0 {
				op = "eq"
			}
			if err := exec.Command(dpkg, "--compare-versions", a, op, b).Run(); err != nil {
				t.Errorf("compare %s %s: got %d, dpkg disagrees", a, b, got)
			}
		}
	}
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("6.1~rc1-1", "1:6.1+b1")
	f.Fuzz(func(t *testing.T, a, b string) {
		ab, ba := CompareVersions(a, b), CompareVersions(b, a)
		if ab < 0 != (ba > 0) || CompareVersions(a, a) != 0 {
			t.Errorf("compare %q %q: got %d, and %d in reverse; want opposite signs, and 0 of itself", a, b, ab, ba)
		}
	})
}
