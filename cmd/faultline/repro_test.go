package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// A way that a paused repro prints: its name, and the command.
var way = regexp.MustCompile(`(?m)^  (ssh|QMP|gdb)  (.*)$`)

// paused runs faultline with these arguments until its guest is left up, gets in by
// each way that is printed, lets it go on, and leaves what it printed in paused.txt.
// gdb stops where the step makes the kernel stop: at force_sig_mceerr.
func paused(ts *testscript.TestScript, neg bool, args []string) {
	cmd := exec.Command(filepath.Join(ts.Getenv("BIN"), "faultline"), args...)
	cmd.Dir = ts.Getenv("WORK")
	cmd.Env = append(os.Environ(), "TMPDIR="+ts.Getenv("TMPDIR"), "XDG_CACHE_HOME="+ts.Getenv("XDG_CACHE_HOME"))
	enter, err := cmd.StdinPipe()
	ts.Check(err)
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	cmd.Stderr = os.Stderr
	ts.Check(cmd.Start())
	defer cmd.Wait()
	defer cmd.Process.Signal(os.Interrupt)
	said, lines := "", bufio.NewReader(out)
	for !strings.Contains(said, "Enter goes on") {
		line, err := lines.ReadString('\n')
		said += line
		if err != nil {
			ts.Fatalf("it did not pause: %v: %s", err, said)
		}
	}
	ways := map[string]string{}
	for _, m := range way.FindAllStringSubmatch(said, -1) {
		ways[m[1]] = m[2]
	}
	sh := func(command string) string {
		out, err := exec.Command("sh", "-c", command).CombinedOutput()
		if err != nil {
			ts.Fatalf("%s: %v: %s", command, err, out)
		}
		return string(out)
	}
	if got := sh(ways["ssh"] + " uname -r"); !strings.HasPrefix(got, "6.") {
		ts.Fatalf("ssh: %s", got)
	}
	if got := sh(ways["ssh"] + " cat /proc/cmdline"); !strings.Contains(got, "nokaslr") { // a tool, and what gdb's symbols rely on
		ts.Fatalf("ssh: %s", got)
	}
	ts.Check(askQMP(regexp.MustCompile(`UNIX-CONNECT:(\S+?)'?( |$)`).FindStringSubmatch(ways["QMP"])[1]))

	// gdb is there before the step, and the step comes when it lets the guest go on.
	gdb := exec.Command("sh", "-c", strings.Replace(ways["gdb"], "gdb ", "exec gdb -batch -iex 'set pagination off' ", 1)+
		" -ex 'info registers rip' -ex 'break force_sig_mceerr' -ex 'echo ready\\n' -ex continue -ex 'info symbol $rip' -ex 'delete' -ex detach")
	pipe, err := gdb.StdoutPipe()
	ts.Check(err)
	ts.Check(gdb.Start())
	told, from := "", bufio.NewReader(pipe)
	for !strings.Contains(told, "ready") {
		line, err := from.ReadString('\n')
		told += line
		if err != nil {
			ts.Fatalf("gdb: %v: %s", err, told)
		}
	}
	_, err = io.WriteString(enter, "\n")
	ts.Check(err)
	rest, err := io.ReadAll(from)
	ts.Check(err)
	ts.Check(gdb.Wait())
	if told += string(rest); !strings.Contains(told, "rip            0xffffffff") || !strings.Contains(told, "force_sig_mceerr in section .text") {
		ts.Fatalf("gdb: %s", told)
	}
	rest, err = io.ReadAll(lines)
	ts.Check(err)
	ts.Check(cmd.Wait())
	ts.Check(os.WriteFile(ts.MkAbs("paused.txt"), append([]byte(said), rest...), 0o644))
}

// askQMP asks a monitor of QEMU's whether its guest runs.
func askQMP(path string) error {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	defer conn.Close()
	answers := json.NewDecoder(conn)
	for _, command := range []string{"", `{"execute":"qmp_capabilities"}`, `{"execute":"query-status"}`} {
		if _, err := io.WriteString(conn, command); err != nil {
			return err
		}
		var answer struct {
			QMP    any
			Return *struct{ Running bool }
			Error  any
		}
		if err := answers.Decode(&answer); err != nil {
			return err
		}
		if strings.Contains(command, "status") && (answer.Return == nil || !answer.Return.Running) {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// forge makes a run's record say that a signal came for a byte before the one that
// it came for: forge DIR 0x4005.
func forge(ts *testscript.TestScript, neg bool, args []string) {
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "run.json"))
	ts.Check(err)
	for _, name := range files {
		data, err := os.ReadFile(name)
		ts.Check(err)
		was := `"addr": "file+` + args[1] + `"`
		if !strings.Contains(string(data), was) {
			ts.Fatalf("%s has no %s", name, was)
		}
		ts.Check(os.WriteFile(name, []byte(strings.ReplaceAll(string(data), was, `"addr": "file+0x4004"`)), 0o644))
	}
}
