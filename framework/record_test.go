package framework

import (
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/observe"
)

func TestLogWitness(t *testing.T) {
	roles := map[string]string{"233": "victim", "234": "second"}
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
		"a stranger": {
			"[   10.1] MCE: Killing systemd:1 due to hardware memory corruption fault at 10000004005",
			"MCE: Killing another process due to hardware memory corruption fault at N",
		},
		"the block layer": {
			"[   11.0] I/O error, dev pmem0, sector 20480 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
			"I/O error, dev pmem0, sector 20480 op N:(READ) flags N phys_seg 1 prio class 2",
		},
		// What was injected is no witness.
		"the registers of a machine check": {
			"[   12.0] mce: [Hardware Error]: TSC 5a1b2c3d4e ADDR 100c04000 MISC 8c\n[   12.0] mce: [Hardware Error]: CPU 0: Machine Check Exception: 5 Bank 9: bd80000000000134\n" +
				"[   12.0] mce: [Hardware Error]: Machine check events logged",
			"mce: [Hardware Error]: Machine check events logged",
		},
		"a page's recovery": {
			"[   12.0] Memory failure: 0x100c04: Sending SIGBUS to agent:233 due to hardware memory corruption\n[   12.0] EDAC igen6: ok",
			"Memory failure: N: Sending SIGBUS to victim due to hardware memory corruption",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := logWitness(strings.Split(test.log, "\n"), roles); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// Two runs differ in times, process ids and page frames, and in nothing else.
func TestLogWitnessIsTheSameInTwoRuns(t *testing.T) {
	run := func(at, pid, pfn string) string {
		return logWitness([]string{
			"[" + at + "] Injecting memory failure for pfn " + pfn + " at process virtual address 0x10000004000",
			"[" + at + "] Memory failure: " + pfn + ": Sending SIGBUS to agent:" + pid + " due to hardware memory corruption",
			"[" + at + "] Memory failure: " + pfn + ": recovery action for dax page: Recovered",
		}, map[string]string{pid: "victim"})
	}
	if a, b := run("   10.123456", "233", "0x100c04"), run("   99.000001", "1234", "0x1a0000"); a != b {
		t.Errorf("%q and %q", a, b)
	}
}

func TestBadblocks(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "none",
		"\n":                     "none",
		"20512 8\n":              "8 sectors",
		"20512 8\n40960 1\n":     "8 sectors, 1 sectors",
		" 20512 8 \n  40960 1\n": "8 sectors, 1 sectors",
	} {
		if got := badblocks(text); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}

func TestSeenInWords(t *testing.T) {
	rec := newRecorder()
	seen := rec.add("victim", "load file+0x4000 width 1", observe.Outcome{Signals: []observe.Signal{{Name: "SIGBUS", CodeName: "BUS_MCEERR_AR", LSB: 12, Addr: "file+0x4000"}}}, "file+0x4000")
	if want := "victim: load file+0x4000 width 1 → SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000"; seen.String() != want {
		t.Errorf("%q", seen)
	}
}
