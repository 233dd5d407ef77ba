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

// connection matches a command that a paused repro prints to connect, with its name.
var connection = regexp.MustCompile(`(?m)^  (ssh|QMP|gdb)  (.*)$`)

// paused runs faultline with these arguments until the scenario pauses, connects with each
// printed command, continues, and writes the output to paused.txt. gdb stops in the step,
// at force_sig_mceerr.
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
	output, lines := "", bufio.NewReader(out)
	for !strings.Contains(output, "Press Enter") {
		line, err := lines.ReadString('\n')
		output += line
		if err != nil {
			ts.Fatalf("the scenario did not pause: %v: %s", err, output)
		}
	}
	commands := map[string]string{}
	for _, m := range connection.FindAllStringSubmatch(output, -1) {
		commands[m[1]] = m[2]
	}
	sh := func(command string) string {
		out, err := exec.Command("sh", "-c", command).CombinedOutput()
		if err != nil {
			ts.Fatalf("%s: %v: %s", command, err, out)
		}
		return string(out)
	}
	if got := sh(commands["ssh"] + " uname -r"); !strings.HasPrefix(got, "6.") {
		ts.Fatalf("ssh: %s", got)
	}
	// This shows that cat works, and that gdb's symbols are valid.
	if got := sh(commands["ssh"] + " cat /proc/cmdline"); !strings.Contains(got, "nokaslr") {
		ts.Fatalf("ssh: %s", got)
	}
	ts.Check(askQMP(regexp.MustCompile(`UNIX-CONNECT:(\S+?)'?( |$)`).FindStringSubmatch(commands["QMP"])[1]))

	// gdb connects before the step, which runs when gdb continues the guest.
	gdb := exec.Command("sh", "-c", strings.Replace(commands["gdb"], "gdb ", "exec gdb -batch -iex 'set pagination off' ", 1)+
		" -ex 'info registers rip' -ex 'break force_sig_mceerr' -ex 'echo ready\\n' -ex continue -ex 'info symbol $rip' -ex 'delete' -ex detach")
	pipe, err := gdb.StdoutPipe()
	ts.Check(err)
	ts.Check(gdb.Start())
	printed, from := "", bufio.NewReader(pipe)
	for !strings.Contains(printed, "ready") {
		line, err := from.ReadString('\n')
		printed += line
		if err != nil {
			ts.Fatalf("gdb: %v: %s", err, printed)
		}
	}
	_, err = io.WriteString(enter, "\n")
	ts.Check(err)
	rest, err := io.ReadAll(from)
	ts.Check(err)
	ts.Check(gdb.Wait())
	if printed += string(rest); !strings.Contains(printed, "rip            0xffffffff") || !strings.Contains(printed, "force_sig_mceerr in section .text") {
		ts.Fatalf("gdb: %s", printed)
	}
	rest, err = io.ReadAll(lines)
	ts.Check(err)
	ts.Check(cmd.Wait())
	ts.Check(os.WriteFile(ts.MkAbs("paused.txt"), append([]byte(output), rest...), 0o644))
}

// askQMP checks with a QEMU monitor that the guest is running.
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

// forge changes the record of a run so that a signal's address is one byte too low:
// forge DIR 0x4005.
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
