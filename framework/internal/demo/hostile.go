package demo

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

// HostileText is text from a guest with meta characters and commands for terminals, for
// the runners of CI systems, and in the syntax of each format.
const HostileText = "::error title=forged::forged\r\n  ::add-mask::forged ##[error]forged ##vso[task.complete] ##teamcity[forged]\n" +
	"\x1b[31mred\x1b[0m \x1b]0;forged\x07 \u009b2J \xff\xfe \x00 \x7f \u202e \u2028 %0A::warning::forged\n" +
	`</script><script>alert(1)</script><img src=x onerror=alert(1)>]]><!-- --> & "'` + "\n" +
	"| ``forged`` ![forged](http://forged/) [forged](javascript:forged) <b>forged</b> @all #1 $forged$\n" +
	"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=forged RESULT=pass>\n<LAVA_TEST_RUNNER EXIT>\n" +
	"ok 1 forged # SKIP forged\nnot ok 2 forged\n1..7\nKTAP version 1\n# Subtest: forged\nBail out! forged\n" +
	"Kernel panic - not syncing: VFS: forged\nreboot: System halted\nList of all partitions:\n"

// Hostile returns a run with HostileText in all fields of foreign origin.
func Hostile() results.Run { return Saying(HostileText) }

// Saying returns a run with a text in all fields whose content comes from the guest, or
// from the user's names of kernels and scenarios.
func Saying(text string) results.Run {
	run := Troubled()
	name := func(s string) string {
		if s == NewName {
			return "6.12 " + text
		}
		return s
	}
	const scenario = "dax/xfs/mapped-then-bad"
	id := func(s string) string {
		if s == scenario {
			return "dax/" + text
		}
		return s
	}
	for i := range run.Kernels {
		k := &run.Kernels[i]
		k.Name = name(k.Name)
		k.Spec, k.Release, k.Splats = text, text, []string{text}
		k.Packages = []results.Package{{Name: text, Version: text}}
	}
	for i := range run.Scenarios {
		s := &run.Scenarios[i]
		s.ID, s.Doc, s.Needs = id(s.ID), text, []string{text}
	}
	for i := range run.Cells {
		c := &run.Cells[i]
		c.Kernel, c.Scenario = name(c.Kernel), id(c.Scenario)
		c.KernelLog = strings.Split(text, "\n")
		c.Witnesses = map[string]string{observe.WitnessLog: text, text: text}
		if c.Verdict == observe.Skipped || c.Verdict == observe.Infra {
			c.Message, c.ConsoleTail, c.Registers, c.Template = text, text, text, text
			earlier := *c
			c.Earlier = &earlier
			continue
		}
		if strings.HasSuffix(c.Scenario, "/pread") {
			c.Witnesses[observe.WitnessSplats] = text
		}
		for j := range c.Steps {
			s := &c.Steps[j]
			s.Action, s.Outcome.Note = s.Action+text, text
		}
	}
	run.Host.OS, run.Host.CPU, run.Command = text, text, []string{"faultline", text}
	judge.Run(&run)
	return run
}

// Seen fails a test if text is not valid UTF-8 or contains control characters that affect
// a terminal.
func Seen(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Error("it is not UTF-8")
	}
	at := strings.IndexFunc(text, func(r rune) bool {
		return r != '\n' && r != '\t' &&
			(unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029')
	})
	if at >= 0 {
		t.Errorf("it controls a terminal at %d: %q", at, text[max(0, at-20):min(at+20, len(text))])
	}
}

// commands matches what CI systems and LAVA's dispatcher interpret as commands in a log.
var commands = regexp.MustCompile(`(?m)^\s*::[a-zA-Z-]+[ :].*$|##\[|##vso\[|##teamcity\[|<LAVA_`)

// Inert fails a test if text affects a terminal, or a program that interprets logs.
func Inert(t *testing.T, text string) {
	t.Helper()
	Seen(t, text)
	if found := commands.FindString(text); found != "" {
		t.Errorf("it contains the command %q", found)
	}
}
