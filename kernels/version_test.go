package kernels

import "testing"

func TestVersions(t *testing.T) {
	for in, want := range map[string]string{
		"6.1.192-1": "6.1.192", "6.12.113-1~deb12u1": "6.12.113", "7.3.4-1~bpo13+1": "7.3.4",
		"7.3~rc2-1~exp1": "7.3-rc2", "1:6.1.2-3": "6.1.2", "6.17-1": "6.17", "odd": "odd",
	} {
		if got := UpstreamVersion(in); got != want {
			t.Errorf("UpstreamVersion(%q): got %q, want %q", in, got, want)
		}
	}
	for _, c := range [][3]string{
		{"6.1.0-56-amd64", "6.1.0-56-amd64 (x) (gcc-12 (Debian 12.2.0-14) 12.2.0) #1 SMP Debian 6.1.192-2 (2026-11-01)", "6.1.192"},
		{"6.1.5", "6.1.5 (x) (gcc-12 (Debian 12.2.0-14) 12.2.0) #1 SMP", "6.1.5"},
		{"6.16.0-rc3-next-20260101", "6.16.0-rc3 (x)", "6.16.0-rc3"},
		{"6.1+", "", "6.1"},
	} {
		if got := imageVersion(c[0], c[1]); got != c[2] {
			t.Errorf("imageVersion(%q): got %q, want %q", c[0], got, c[2])
		}
	}
}
