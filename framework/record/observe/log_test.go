package observe

import (
	"slices"
	"strings"
	"testing"
)

func TestLog(t *testing.T) {
	if got := (Roles{Files: map[string]string{"/mnt/pmem1/made0": "/mnt/pmem1/file"}, Disks: map[string]string{"pmem1": "pmem(nfit,ext4)"}}).Named(`open("/mnt/pmem1/made0")`); got != `open("/mnt/pmem(nfit,ext4)/file")` {
		t.Errorf("got %s, want open(\"/mnt/pmem(nfit,ext4)/file\")", got)
	}
	roles := Roles{Processes: map[string]string{"233": "victim", "234": "second"}, Disks: map[string]string{"pmem1": "pmem(nfit,ext4)"}}
	for name, test := range map[string]struct {
		log  string
		want string
	}{
		"nothing":       {"", "nothing about poison"},
		"other matters": {"[    9.1] EXT4-fs (pmem0): mounted filesystem\n[    9.2] pmem0: detected capacity change", "nothing about poison"},
		"a killed victim": {
			"[   10.123456] MCE: Killing agent:233 due to hardware memory corruption fault at 10000004005",
			"MCE: Killing victim due to hardware memory corruption fault at N",
		},
		"each once, sorted": {
			"[   10.1] MCE: Killing agent:234 due to hardware memory corruption fault at 10000004005\n" +
				"[   10.2] Memory failure: 0x100c04: recovery action for dax page: Recovered\n" +
				"[   10.3] MCE: Killing agent:234 due to hardware memory corruption fault at 10000008000",
			"MCE: Killing second due to hardware memory corruption fault at N\nMemory failure: N: recovery action for dax page: Recovered",
		},
		"two roles are two lines": {
			"[   10.1] MCE: Killing agent:233 due to hardware memory corruption fault at 10000004005\n" +
				"[   10.3] MCE: Killing agent:234 due to hardware memory corruption fault at 10000004005",
			"MCE: Killing second due to hardware memory corruption fault at N\nMCE: Killing victim due to hardware memory corruption fault at N",
		},
		"an error without names": {
			"[   80.7] device-mapper: table: 254:0: writecache: Unable to map persistent memory for cache (-133)",
			"device-mapper: table: 254:0: writecache: Unable to map persistent memory for cache (-EHWPOISON)",
		},
		"a stranger": {
			"[   10.1] MCE: Killing systemd:1 due to hardware memory corruption fault at 10000004005",
			"MCE: Killing another process due to hardware memory corruption fault at N",
		},
		"the block layer": {
			"[   11.0] I/O error, dev pmem0, sector 20480 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
			"I/O error, dev pmem0, sector 20480 op N:(READ) flags N phys_seg 1 prio class 2",
		},
		// Another kernel gives the same disk another number; an unknown disk keeps its number.
		"disks": {
			"[   11.0] Buffer I/O error on dev pmem1, logical block 1024, async page read\n[   11.0] I/O error, dev pmem10, sector 8",
			"Buffer I/O error on dev pmem(nfit,ext4), logical block 1024, async page read\nI/O error, dev pmem10, sector 8",
		},
		// The source line in messages of ext4 differs.
		"ext4": {
			"[   11.0] EXT4-fs warning (device pmem1): ext4_end_bio:347: I/O error 10 writing to inode 12 starting block 33)",
			"EXT4-fs warning (device pmem(nfit,ext4)): ext4_end_bio: I/O error 10 writing to inode 12 starting block 33)",
		},
		"a module that was loaded": {"[   11.0] mce: Machine check injector initialized", "nothing about poison"},
		// The injected registers are no witness.
		"the registers of a machine check": {
			"[   12.0] mce: [Hardware Error]: TSC 5a1b2c3d4e ADDR 100c04000 MISC 8c\n[   12.0] mce: [Hardware Error]: CPU 0: Machine Check Exception: 5 Bank 9: bd80000000000134\n" +
				"[   12.0] mce: [Hardware Error]: Machine check events logged",
			"mce: [Hardware Error]: Machine check events logged",
		},
		"unpoison, whose words changed": {"[   12.0] Unpoison: Unpoison is disabled after HW memory failure 0x100c04", "nothing about poison"},
		"a page's recovery": {
			"[   12.0] Memory failure: 0x100c04: Sending SIGBUS to agent:233 due to hardware memory corruption\n[   12.0] EDAC igen6: ok",
			"Memory failure: N: Sending SIGBUS to victim due to hardware memory corruption",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Log(strings.Split(test.log, "\n"), roles, nil); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// Two runs differ only in times, process ids and page frames.
func TestLogIsTheSameInTwoRuns(t *testing.T) {
	run := func(at, pid, pfn string) string {
		return Log([]string{
			"[" + at + "] Injecting memory failure for pfn " + pfn + " at process virtual address 0x10000004000",
			"[" + at + "] Memory failure: " + pfn + ": Sending SIGBUS to agent:" + pid + " due to hardware memory corruption",
			"[" + at + "] Memory failure: " + pfn + ": recovery action for dax page: Recovered",
		}, Roles{Processes: map[string]string{pid: "victim"}}, nil)
	}
	if a, b := run("   10.123456", "233", "0x100c04"), run("   99.000001", "1234", "0x1a0000"); a != b {
		t.Errorf("got %q and %q, want the same", a, b)
	}
}

// A pattern that is left out of one witness stays in the others.
func TestLogLeavesOut(t *testing.T) {
	lines := []string{
		"[   10.1] Memory failure: 0x100c04: recovery action for clean LRU page: Recovered",
		"[   10.2] Memory failure: 0x100c04: clean LRU page still referenced by 1 users",
	}
	still := Ignored{Witness: WitnessLog, Pattern: "still referenced by", Reason: "it races"}
	const recovered = "Memory failure: N: recovery action for clean LRU page: Recovered"
	for name, test := range map[string]struct {
		out  []Ignored
		want string
	}{
		"nothing":          {nil, "Memory failure: N: clean LRU page still referenced by 1 users\n" + recovered},
		"a line":           {[]Ignored{still}, recovered},
		"everything":       {[]Ignored{still, {Witness: WitnessLog, Pattern: "^Memory failure"}}, NothingAboutPoison},
		"another witness":  {[]Ignored{{Witness: WitnessSplats, Pattern: "."}}, "Memory failure: N: clean LRU page still referenced by 1 users\n" + recovered},
		"no expression":    {[]Ignored{{Witness: WitnessLog, Pattern: "("}}, "Memory failure: N: clean LRU page still referenced by 1 users\n" + recovered},
		"of the canonical": {[]Ignored{{Witness: WitnessLog, Pattern: "0x100c04"}}, "Memory failure: N: clean LRU page still referenced by 1 users\n" + recovered},
	} {
		if got := Log(lines, Roles{}, test.out); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestLogIgnoresPrograms(t *testing.T) {
	program := []string{"<12>[   12.3] Memory failure: 0x100c04: recovery action for dax page: Recovered"}
	if got := Log(program, Roles{}, nil); got != NothingAboutPoison {
		t.Errorf("a program's line: got %q, want nothing about poison", got)
	}
}

// FuzzLog checks that the witness is sorted, has each line once, and does not
// depend on the order of lines.
func FuzzLog(f *testing.F) {
	f.Add("[   12.3] Memory failure: 0x100c04: recovery action for dax page: Recovered\n[   12.4] mce: Killing a:233 due to hardware memory corruption")
	f.Add("<12>[   12.3] Memory failure: 0x1: x\n\x00\xff")
	f.Fuzz(func(t *testing.T, log string) {
		lines := strings.Split(log, "\n")
		roles := Roles{Processes: map[string]string{"233": "victim"}}
		text := Log(lines, roles, nil)
		kept := strings.Split(text, "\n")
		if !slices.IsSorted(kept) || len(slices.Compact(slices.Clone(kept))) != len(kept) || slices.Contains(kept, "") {
			t.Errorf("got %q, want its lines sorted, each once, and none empty", text)
		}
		if shuffled := slices.Clone(lines); true {
			slices.Reverse(shuffled)
			if Log(shuffled, roles, nil) != text {
				t.Error("the order of lines counts")
			}
		}
		if got := Log(lines, roles, []Ignored{{Witness: WitnessLog, Pattern: "."}}); got != NothingAboutPoison {
			t.Errorf("everything left out: got %q, want nothing about poison", got)
		}
	})
}
