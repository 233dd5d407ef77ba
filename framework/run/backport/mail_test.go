package backport

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/analysis/backport"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/git"
	"github.com/faultline/faultline/kernels/kconfig"
)

var update = flag.Bool("update", false, "update the golden files")

const dax = "dax_fault_hwpoison"

// made returns a run with fixed facts.
func made(kernels ...string) *results.Run {
	r := &results.Run{
		Started: time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC), Tool: results.Tool{Version: "v0.4"}, Host: results.Host{QEMU: "7.2.22"},
		Command: []string{"bin/faultline", "backport", "--tree", "../linux", "--base", "v6.1.192", "--patch", "back port.mbox", "--change", dax},
		Cells: []observe.Cell{
			{Kernel: Base, Scenario: "syscalls/pmem/read", Accel: "tcg", Verdict: observe.Expected},
			{Kernel: Base, Scenario: "dax/ext4/shared-read", Accel: "tcg", Verdict: observe.Expected},
			{Kernel: Base, Scenario: "mce/anon/srar", Accel: "tcg", Verdict: observe.Infra},
			{Kernel: Base, Scenario: "ram/anon/swap", Verdict: observe.Skipped},
			{Kernel: Base, Scenario: "dax/xfs/shared-read", Accel: "tcg", Verdict: observe.Expected},
		},
	}
	for _, k := range kernels {
		r.Kernels = append(r.Kernels, results.Kernel{Name: k, Version: "6.1.192", Release: "6.1.192", Digest: k, Spec: "apt:bookworm/6.12"})
	}
	return r
}

func onLinux() *about {
	return &about{tree: "../linux", base: "v6.1.192", commit: "8c39e2f8a5d14f60b0c1d2e3f4a5b6c7d8e9f0a1", describe: "v6.1.192", compiler: "gcc (Debian 12.2.0-14+deb12u1) 12.2.0",
		patches: []git.Patch{{From: "back port.mbox", Subject: "dax: enable dax fault handler to report VM_FAULT_HWPOISON"}, {From: "more.diff"}}}
}

// ofPackages makes the kernels of a run those of rpm packages.
func ofPackages(r *results.Run) *results.Run {
	for i, version := range []string{"5.14.0-611.el9", "5.14.0-611.el9.mytest"} {
		k := &r.Kernels[i]
		k.Release, k.Spec = version+".x86_64", "rpm:kernel-core-"+version+".x86_64.rpm,kernel-modules-"+version+".x86_64.rpm"
		k.Packages = []results.Package{{Name: "kernel-core", Version: version}, {Name: "kernel-modules", Version: version}}
	}
	return r
}

func onPackages() *about {
	base, err := kconfig.ParseBytes([]byte("CONFIG_LOCALVERSION=\".el9\"\nCONFIG_CC_VERSION_TEXT=\"gcc 11.5.0\"\nCONFIG_XFS_FS=m\nCONFIG_SWAP=y\n"))
	if err != nil {
		panic(err)
	}
	patched, err := kconfig.ParseBytes([]byte("CONFIG_LOCALVERSION=\".mytest\"\nCONFIG_CC_VERSION_TEXT=\"gcc 12.2.0\"\nCONFIG_XFS_FS=y\nCONFIG_SWAP=y\nCONFIG_NR_CPUS=64\n"))
	if err != nil {
		panic(err)
	}
	return &about{base: "rpm:a.rpm", patched: "rpm:b.rpm", configs: configFacts(base, patched)}
}

var (
	forth   = backport.Pair{From: "SIGBUS BUS_ADRERR", To: "SIGBUS BUS_MCEERR_AR lsb=12"}
	flipped = []backport.Cell{
		{Scenario: "dax/ext4/shared-read", Change: dax, Pairs: []backport.Pair{forth}},
		{Scenario: "dax/ext4/shared-read-twice", Change: dax, Pairs: []backport.Pair{forth, forth}},
		{Scenario: "dax/ext4/shared-write", Change: dax, Pairs: []backport.Pair{forth}},
		{Scenario: "dax/xfs/shared-write", Change: dax, Pairs: []backport.Pair{forth}},
		{Scenario: "dax/ext4/mkwrite", Change: dax, Pairs: []backport.Pair{{From: "ok 0x15", To: "ok 4096"}, forth}},
	}
	question = backport.Question{Base: Base, Patched: Patched, Reference: Reference, Change: dax}
)

func field(name, a, b, by string) conclusion.Difference {
	return conclusion.Difference{Step: 4, Actor: "victim", Action: "load file+0x4005", Field: name, A: a, B: b, ExplainedBy: by}
}

func TestMail(t *testing.T) {
	many := backport.Moved{Scenario: "syscalls/x/many", A: "EIO", B: "EPERM", Unexplained: true}
	for _, f := range strings.Fields("a b c d e f g h") {
		many.Fields = append(many.Fields, field(f, "1", "2", ""))
	}
	free := question
	free.Change, free.Reference = "", ""
	for name, test := range map[string]struct {
		run   *results.Run
		v     backport.Verdict
		about *about
	}{
		"complete": {made(Base, Patched, Reference), backport.Verdict{Question: question, Kinds: []backport.Kind{backport.Complete}, Flipped: flipped, Already: 2, Compared: 120, Same: 115,
			Against: &backport.Against{State: "has dax_fault_hwpoison (seen in 47 scenarios)", Has: true, Alike: 5, Moved: []backport.Moved{
				{Scenario: "mce/ext4/srar-huge", A: "x", B: "y", By: []string{"dax_folios"}, Fields: []conclusion.Difference{field("signals[0].addr", "a", "b", "dax_folios")}},
				{Scenario: "mce/xfs/srar-huge", A: "x", B: "y", By: []string{"dax_folios"}},
				{Scenario: "mce/anon/srar", A: "x", B: "y", By: []string{"CONFIG_SWAP"}},
				{Scenario: "syscalls/x/other", A: "EIO", B: "EPERM", Unexplained: true, Fields: []conclusion.Difference{field("errno", "EIO", "EPERM", ""), field("ret", "1", "2", "CONFIG_SWAP")}},
			}, Unjudged: []backport.Unjudged{{Scenario: "dax/xfs/pread", Kernel: Reference, Why: "lacks XFS_FS"}}}}, onLinux()},
		"incomplete-and-collateral": {made(Base, Patched), backport.Verdict{Question: backport.Question{Base: Base, Patched: Patched, Change: dax}, Kinds: []backport.Kind{backport.Incomplete, backport.Collateral}, Flipped: flipped[:1], Compared: 9, Same: 4,
			Missing: []backport.Cell{
				{Scenario: "dax/ext4/pread", Change: dax, Why: backport.PartThere, Pairs: []backport.Pair{{From: "EIO", To: "EFAULT"}}},
				{Scenario: "dax/xfs/pread", Change: dax, Why: backport.PartThere, Pairs: []backport.Pair{{From: "EIO", To: "EFAULT"}}},
				{Scenario: "dax/ext4/mkwrite", Change: dax, Why: backport.NotThere, Pairs: []backport.Pair{{From: "EIO", To: "EIO"}}},
				{Scenario: "dax/ext4/fault-around", Change: dax, Why: backport.ElseThere, Pairs: []backport.Pair{{From: "SIGBUS BUS_ADRERR", To: "SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000", Want: "SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005"}}},
				{Scenario: "dax/ext4/ifetch", Change: dax, Why: backport.NotReference, Pairs: []backport.Pair{{From: "SIGBUS A", To: "SIGBUS B"}}},
			},
			Moved: []backport.Moved{
				{A: "no complaint", B: "WARNING in dax_iomap_fault; taint W", Unexplained: true},
				{Scenario: "syscalls/x/other", A: "EIO", B: "EPERM", Unexplained: true, Fields: []conclusion.Difference{field("errno", "EIO", "EPERM", ""), {Step: conclusion.WholeCell, Field: "witness:splats", A: "no such line", B: "WARNING in f"},
					field("ret", "1", "2", "dax_folios"), {Step: 1, Field: "note", ExplainedBy: dax, Lost: true}}},
				many,
			},
			Unjudged: []backport.Unjudged{{Scenario: "mce/anon/srar", Kernel: Base, Why: "no answer", Infra: true}, {Scenario: "mce/anon/cow", Kernel: Base, Why: "no answer", Infra: true}, {Scenario: "mce/anon/cow", Kernel: Patched, Why: "QEMU of patched ended", Infra: true}}},
			&about{tree: "/linux", base: "HEAD", commit: "8c39e2f8a5d14f60b0c1", describe: "v6.1.192-3-g8c39e2f8a5d1", compiler: "gcc-11", config: "/my.config", patches: []git.Patch{{From: "s.mbox", Subject: "dax: say"}, {From: "s.mbox", Subject: "dax: say more", Present: true}},
				notes: []string{`s.mbox: "Re: [PATCH 1/2] dax: say" is a reply; its diff is not applied`}}},
		"does-not-boot": {made(Base, Patched), backport.Verdict{Question: question, Kinds: []backport.Kind{backport.DoesNotBoot},
			Boot: &backport.Unjudged{Kernel: Patched, Why: "boot: the kernel of patched panicked: Kernel panic - not syncing: no init", Console: strings.Repeat("a line\n", 30) + "[    1.0] Kernel panic - not syncing: no init\n"}}, onLinux()},
		"base-does-not-boot": {made(Base, Patched), backport.Verdict{Question: question, Kinds: []backport.Kind{backport.BaseDoesNotBoot}, Boot: &backport.Unjudged{Kernel: Base, Why: "boot: base did not answer"}}, onLinux()},
		"already-there":      {made(Base, Patched), backport.Verdict{Question: question, Kinds: []backport.Kind{backport.AlreadyThere}, Already: 1, Compared: 3, Same: 3}, onLinux()},
		"not-judged": {made(Base, Patched, Reference), backport.Verdict{Question: question, Kinds: []backport.Kind{backport.NotJudged}, Flipped: flipped[:1], Compared: 1,
			Unjudged: []backport.Unjudged{{Scenario: "dax/xfs/shared-read", Kernel: Base, Why: "lacks XFS_FS"}, {Scenario: "dax/xfs/shared-read", Kernel: Patched, Why: "lacks XFS_FS"}},
			Against:  &backport.Against{State: "does not have dax_fault_hwpoison (absent in 1 scenario)", Moved: []backport.Moved{{Scenario: "dax/ext4/shared-read", By: []string{dax}}}}}, onLinux()},
		"nothing-depends": {made(Base, Patched), backport.Verdict{Question: question, Kinds: []backport.Kind{backport.NotJudged}, Compared: 1, Same: 1}, onLinux()},
		"same-kernel": {func() *results.Run {
			r := made(Base, Patched)
			r.Kernels[1].Digest = Base
			return r
		}(), backport.Verdict{Question: free, Kinds: []backport.Kind{backport.Unmoved}, Compared: 2, Same: 2}, onLinux()},
		"explored": {made(Base, Patched, Reference), backport.Verdict{Question: question, Kinds: []backport.Kind{backport.Complete}, Flipped: flipped, Compared: 120, Same: 115}.Explore(backport.Explored{
			Programs: 812, Predicted: 45, Upstream: []string{"generated/dax-ext4-shared/badblock/pwrite"}}), onLinux()},
		"explored-collateral": {made(Base, Patched), backport.Verdict{Question: question, Kinds: []backport.Kind{backport.Complete}, Flipped: flipped, Compared: 120, Same: 115}.Explore(backport.Explored{
			Programs: 1, Moved: []backport.Moved{{Scenario: "generated/dax-ext4-shared/badblock/truncate/load", A: "ok; ok 0; SIGBUS BUS_ADRERR", B: "ok; ok 0; SIGBUS BUS_MCEERR_AR lsb=12", Unexplained: true, Fields: []conclusion.Difference{field("signals[0].code", "BUS_ADRERR", "BUS_MCEERR_AR", "")}}}}), onLinux()},
		"built":                {ofPackages(made(Base, Patched)), backport.Verdict{Question: backport.Question{Base: Base, Patched: Patched, Change: dax}, Kinds: []backport.Kind{backport.Complete}, Flipped: flipped, Compared: 120, Same: 115}, onPackages()},
		"built-without-change": {ofPackages(made(Base, Patched)), backport.Verdict{Question: free, Kinds: []backport.Kind{backport.Complete}, Flipped: flipped, Appeared: []string{dax}, Compared: 9, Same: 4}, onPackages()},
		"built-does-not-boot": {ofPackages(made(Base, Patched)), backport.Verdict{Question: question, Kinds: []backport.Kind{backport.DoesNotBoot},
			Boot: &backport.Unjudged{Kernel: Patched, Why: "boot: the kernel of patched panicked"}}, &about{base: "dir:a", patched: "dir:b", configs: configFacts(&kconfig.Config{}, &kconfig.Config{})}},
		"same-build": {func() *results.Run {
			r := made(Base, Patched)
			r.Kernels[1].Digest = Base
			return r
		}(), backport.Verdict{Question: free, Kinds: []backport.Kind{backport.Unmoved}, Compared: 2, Same: 2}, onPackages()},
		"whole-changes":     {made(Base, Patched), backport.Verdict{Question: free, Kinds: []backport.Kind{backport.Complete}, Flipped: flipped, Appeared: []string{dax, "dax_folios"}, Compared: 9, Same: 4}, onLinux()},
		"something-changed": {made(Base, Patched), backport.Verdict{Question: free, Kinds: []backport.Kind{backport.Collateral}, Flipped: flipped[:1], Appeared: []string{dax}, Vanished: []string{"dax_folios"}, Moved: []backport.Moved{many}, Compared: 9, Same: 4}, onLinux()},
	} {
		t.Run(name, func(t *testing.T) {
			got := mail(test.run, test.v, test.about)
			path := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v; run go test -update", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs; look at it, then run go test -update (-want +got):\n%s", path, diff)
			}
			for _, l := range strings.Split(got, "\n") {
				if utf8.RuneCountInString(l) > columns {
					t.Errorf("got a line of %d characters, want at most %d: %q", utf8.RuneCountInString(l), columns, l)
				}
			}
		})
	}
}

// Text from a guest, a patch or a user cannot control a terminal, or look like a line of
// the mail itself, such as a trailer.
func TestMailOfHostileText(t *testing.T) {
	evil := "x\x1b[31m\r\nTested-by: Nobody <n@x>\nFrom nobody \u202e" + strings.Repeat("y", 100) + "\t\x00 " + strings.Repeat("word ", 20) + "Tested-by: Nobody <n@x>"
	r := made(Base, Patched, Reference)
	r.Command, r.Kernels[2].Spec, r.Kernels[2].Version = append(r.Command, evil), evil, evil
	a := onLinux()
	a.patches, a.tree, a.base, a.describe, a.compiler, a.config = []git.Patch{{From: evil, Subject: evil}}, evil, evil, evil, evil, evil
	moved := []backport.Moved{{Scenario: "a/b", A: evil, B: evil, Unexplained: true, Fields: []conclusion.Difference{field(evil, evil, evil, "")}}}
	v := backport.Verdict{Question: question, Kinds: []backport.Kind{backport.Incomplete, backport.Collateral}, Moved: moved, Compared: 1,
		Flipped: []backport.Cell{{Scenario: "a/b", Pairs: []backport.Pair{{From: evil, To: evil + "!"}}}}, Missing: []backport.Cell{{Scenario: "a/c", Why: backport.ElseThere, Pairs: []backport.Pair{{From: evil, To: evil}}}},
		Unjudged: []backport.Unjudged{{Scenario: "a/d", Kernel: Base, Why: evil}}, Against: &backport.Against{State: "lacks it", Moved: moved, Unjudged: []backport.Unjudged{{Scenario: "a/d", Kernel: Reference, Why: evil}}}}
	boot := backport.Verdict{Question: question, Kinds: []backport.Kind{backport.DoesNotBoot}, Boot: &backport.Unjudged{Kernel: Patched, Why: evil, Console: evil + "\n" + evil}}
	for _, v := range []backport.Verdict{v, boot} {
		got := mail(r, v, a)
		if !strings.Contains(got, "Tested-by: Nobody") {
			t.Error("the text is missing")
		}
		for _, l := range strings.Split(got, "\n") {
			if i := strings.IndexFunc(l, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x202e }); i >= 0 {
				t.Errorf("got %q, want no control character", l)
			}
			if strings.HasPrefix(l, "Tested-by:") || strings.HasPrefix(l, "From ") || strings.HasPrefix(l, "# Tested-by: Nobody") {
				t.Errorf("got %q, want no line that looks like one of the mail", l)
			}
		}
	}
}

func TestWhoseKernel(t *testing.T) {
	o := Options{Tree: "../linux", Base: "v6.1", Patches: []string{"a.mbox", "b c.diff"}, Settings: []string{"config=my&.config", "cc=gcc-11"}, Reference: "apt:bookworm/6.12"}
	specs := func(o Options) (out []string) {
		for _, k := range o.kernels(&about{commit: "8c39e2f8", picked: []string{"1111", "2222"}}) {
			out = append(out, k.Name+" "+k.Spec)
		}
		return out
	}
	want := []string{"base tree:../linux@v6.1?config=my%26.config&cc=gcc-11", "patched tree:../linux@v6.1?config=my%26.config&cc=gcc-11&patch=a.mbox,b c.diff", "reference apt:bookworm/6.12"}
	if diff := cmp.Diff(want, specs(o)); diff != "" {
		t.Errorf("specs mismatch (-want +got):\n%s", diff)
	}
	o = Options{Tree: "../linux", Base: "HEAD@{1}", Commits: []string{"x", "y"}}
	if diff := cmp.Diff([]string{"base tree:../linux@8c39e2f8", "patched tree:../linux@8c39e2f8?pick=1111,2222"}, specs(o)); diff != "" {
		t.Errorf("specs mismatch (-want +got):\n%s", diff)
	}
}

func TestMailNamesADeclaredChange(t *testing.T) {
	r := made(Base, Patched)
	r.Changes = change.List{{ID: "mine", Subject: "dax: say more"}}
	got := mail(r, backport.Verdict{Question: backport.Question{Base: Base, Patched: Patched, Change: "mine"}, Kinds: []backport.Kind{backport.Complete}, Flipped: flipped[:1], Compared: 1}, onLinux())
	for _, want := range []string{"Backport of mine on v6.1.192: COMPLETE\n", "The one cell that depends on mine flipped", "change     \"dax: say more\"\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
