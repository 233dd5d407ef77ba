package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/exttest"
)

// cluster is a Slurm cluster on this machine, with its own folders, ports and keys.
type cluster struct {
	t    *testing.T
	dir  string
	env  []string
	node *exec.Cmd // slurmd
}

const slurmConf = `ClusterName=faultline
SlurmctldHost=HOST(127.0.0.1)
SlurmctldPort=PORT1
SlurmdPort=PORT2
SlurmUser=USER
SlurmdUser=USER
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=DIR/munge.sock
StateSaveLocation=DIR/state
SlurmdSpoolDir=DIR/spool
SlurmctldPidFile=DIR/slurmctld.pid
SlurmdPidFile=DIR/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
NodeName=HOST NodeAddr=127.0.0.1 CPUs=2 RealMemory=8000 State=UNKNOWN
PartitionName=ci Nodes=ALL Default=YES MaxTime=60 State=UP
`

// newCluster starts munge, a controller and a node.
func newCluster(t *testing.T, path string, env ...string) *cluster {
	t.Helper()
	programs := map[string]string{}
	for _, p := range []string{"munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue"} {
		programs[p] = exttest.Program(t, p)
	}
	dir, err := os.MkdirTemp("", "flslurm")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, dir: dir, env: append(append(os.Environ(), "SLURM_CONF="+filepath.Join(dir, "slurm.conf"), "PATH="+path), env...)}
	t.Cleanup(func() { os.RemoveAll(dir) })
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ = strings.Cut(host, ".")
	key := make([]byte, 64)
	rand.Read(key)
	conf := strings.NewReplacer("HOST", host, "USER", me.Username, "DIR", dir, "PORT1", freePort(t), "PORT2", freePort(t)).Replace(slurmConf)
	for name, content := range map[string]string{"slurm.conf": conf, "munge.key": string(key)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"state", "spool"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	c.daemon(programs["munged"], "--foreground", "--force", "--socket="+in("munge.sock"), "--key-file="+in("munge.key"),
		"--pid-file="+in("munge.pid"), "--log-file="+in("munge.log"), "--seed-file="+in("munge.seed"))
	c.until("munge answers", func() bool { _, err := os.Stat(in("munge.sock")); return err == nil })
	c.daemon(programs["slurmctld"], "-D")
	c.node = c.daemon(programs["slurmd"], "-D")
	c.until("the node is idle", func() bool { return strings.Contains(c.run("scontrol", "show", "nodes"), "State=IDLE") })
	return c
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// daemon starts a daemon that ends with the test.
func (c *cluster) daemon(argv ...string) *exec.Cmd {
	c.t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = c.env, c.dir
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		if c.t.Failed() {
			c.t.Logf("%s printed: %s", argv[0], output.String())
		}
	})
	return cmd
}

// run returns the output of a Slurm command. It may fail, like squeue for a job that has
// been purged.
func (c *cluster) run(argv ...string) string {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = c.env, c.dir
	out, _ := cmd.Output()
	return strings.TrimSpace(string(out))
}

func (c *cluster) until(what string, done func() bool) {
	c.t.Helper()
	for end := time.Now().Add(3 * time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("timeout after three minutes: %s", what)
		}
	}
}

// failNode kills the node's daemon and all processes of a job, like a power loss, and
// starts the daemon again.
func (c *cluster) failNode(job string) {
	c.t.Helper()
	var dead []int
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, environ := range all {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(environ)))
		env, _ := os.ReadFile(environ)
		command, _ := os.ReadFile(filepath.Join(filepath.Dir(environ), "cmdline"))
		ours := bytes.Contains(env, []byte("\x00SLURM_CONF="+c.dir+"/"))
		if ours && (bytes.Contains(env, []byte("\x00SLURM_JOB_ID="+job+"\x00")) || bytes.HasPrefix(command, []byte("slurmstepd: ["+job+"."))) {
			dead = append(dead, pid)
		}
	}
	if len(dead) < 2 { // slurmstepd, and faultline
		c.t.Fatalf("job %s: got the processes %v, want at least 2", job, dead)
	}
	c.node.Process.Kill()
	for _, pid := range dead {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	c.node.Wait()
	c.node = c.daemon(c.node.Args...)
}

// TestLongSlurm runs the output of plan on Slurm, with the commands of its comment, and
// with a node that fails during a shard: the merged run must be complete.
func TestLongSlurm(t *testing.T) {
	long(t)
	exttest.Program(t, "slurmctld")
	cache := userCache(t)
	path := built + ":" + os.Getenv("PATH")
	c := newCluster(t, path, "XDG_CACHE_HOME="+cache)
	faultline := func(want int, args ...string) string {
		t.Helper()
		cmd := exec.Command(filepath.Join(built, "faultline"), args...)
		cmd.Env, cmd.Dir = c.env, c.dir
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if cmd.ProcessState.ExitCode() != want {
			t.Fatalf("faultline %q: got %v, want exit code %d: %s", args, err, want, stderr.String())
		}
		return string(out)
	}
	some := []string{"--scenario=dax/ext4/shared-*", "--scenario=dax/ext4/private-*", "--scenario=mce/ext4/*", "--accel=tcg"}
	begun := time.Now()
	faultline(0, append([]string{"run", "--jobs=2", "--out=whole"}, some...)...)
	t.Logf("the whole run took %.1f s", time.Since(begun).Seconds())
	script := faultline(0, append([]string{"plan", "--shards=4", "--jobs=1", "--for=slurm"}, some...)...)
	if err := os.WriteFile(filepath.Join(c.dir, "shards.sh"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}

	// The two commands of the script's comment.
	var commands []string
	for line := range strings.Lines(script) {
		if command, ok := strings.CutPrefix(line, "#   "); ok {
			commands = append(commands, strings.TrimSpace(command))
		}
	}
	if len(commands) != 2 || !strings.Contains(commands[1], "afterany") {
		t.Fatalf("got the commands %q in the script, want 2, the second with afterany", commands)
	}
	begun = time.Now()
	cmd := exec.Command("bash", "-c", commands[0]+"\necho $job")
	cmd.Env, cmd.Dir = c.env, c.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	job := strings.TrimSpace(string(out))
	merge := exec.Command("bash", "-c", "job="+job+"\n"+commands[1])
	merge.Env, merge.Dir = c.env, c.dir
	if err := merge.Start(); err != nil {
		t.Fatal(err)
	}

	second := filepath.Join(c.dir, "shards", job, "2")
	var kept []string
	c.until("two cells of shard 2", func() bool {
		kept, _ = filepath.Glob(filepath.Join(second, "kernels", "*", "cells", "*.json"))
		return len(kept) > 1
	})
	c.failNode(c.run("squeue", "-h", "-j", job+"_2", "-o", "%A"))
	done, err := cellsOf(second)
	if err != nil {
		t.Fatal(err)
	}
	// Slurm itself notices after minutes, and waits two more before it restarts the job.
	c.run("scontrol", "requeue", job+"_2")
	c.until("shard 2 waits", func() bool { return c.run("squeue", "-h", "-j", job+"_2", "-o", "%t") == "PD" })
	c.run("scontrol", "update", "JobId="+job+"_2", "StartTime=now")
	if err := merge.Wait(); err != nil {
		t.Fatalf("the merge ended with %v: %s", err, c.run("bash", "-c", "tail -n 30 slurm-*.out"))
	}
	t.Logf("four shards, one of them started twice, and the merge took %.1f s", time.Since(begun).Seconds())

	said, err := os.ReadFile(filepath.Join(c.dir, "slurm-"+job+"_2.out"))
	if want := fmt.Sprintf("faultline: shard 2/4 was started before in shards/%s/2; resuming\n", job); err != nil || !strings.Contains(string(said), want) {
		t.Errorf("%v; shard 2 did not say %q: %s", err, want, said)
	}
	f, err := results.Open(second)
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.LoadRun(judge.Run)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range done {
		if !slices.ContainsFunc(r.Cells, func(o observe.Cell) bool { return o.Scenario == c.Scenario && o.Started.Equal(c.Started) }) {
			t.Errorf("%s on %s was observed again", c.Scenario, c.Kernel)
		}
	}
	if len(done) == len(r.Cells) {
		t.Errorf("shard 2 had all of its %d cells when its node failed", len(done))
	}
	whole, err := canonical(filepath.Join(c.dir, "whole"))
	if err != nil {
		t.Fatal(err)
	}
	merged, err := canonical(filepath.Join(c.dir, "merged", job))
	if err != nil || !slices.Equal(whole, merged) {
		t.Errorf("%v; the merged run is not the whole one:\n%s\n---\n%s", err, strings.Join(whole, "\n"), strings.Join(merged, "\n"))
	}
	t.Logf("%d cells, %d of shard 2's %d from before its node failed", len(whole)/2, len(done), len(r.Cells))

	// A lost shard is named, and makes the merge an infrastructure failure.
	if output := faultline(3, "merge", "--out", "lost", filepath.Join("shards", job, "1"), second, filepath.Join("shards", job, "4")); !strings.Contains(output, "shard 3/4 is missing") {
		t.Errorf("a lost shard: got %s, want shard 3/4 is missing", output)
	}
}
