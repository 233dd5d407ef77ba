package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/kcidb"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/framework/run/lab"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/kernels/download"
	"github.com/faultline/faultline/kernels/matrix"
)

type labCmd struct {
	API       string        `name:"api" required:"" placeholder:"URL" help:"URL of the API, with its version, such as https://HOST/latest."`
	Runtime   string        `required:"" placeholder:"NAME" help:"Name of this lab in the pipeline's configuration."`
	Platform  []string      `placeholder:"NAME" sep:"none" help:"Take only jobs for this platform (repeatable)."`
	TokenFile string        `placeholder:"FILE" help:"Read the token of the API from FILE."`
	Interval  time.Duration `default:"30s" placeholder:"DURATION" help:"Poll this often if no job is available (default: 30s)."`
	Once      bool          `help:"Run the jobs that are available, then exit."`
	Out       string        `default:"lab" placeholder:"DIR" help:"Write the state and the results of jobs below DIR (default: lab)."`
	Scenario  []string      `placeholder:"GLOB" complete:"scenario" sep:"none" help:"${scenario}"`
	Label     string        `placeholder:"FILTER" help:"${label}"`
	Accel     string        `enum:"auto,kvm,tcg" default:"auto" placeholder:"auto|kvm|tcg" help:"${accel}"`
	Jobs      int           `default:"0" placeholder:"N" help:"${jobs}"`
	originFlag
}

func (labCmd) Help() string {
	return `Poll KernelCI's API for jobs of a runtime of type pull_labs, and run them one after another, until
interrupted or, with --once, until none is left. For each job: mark it as taken, fetch its kernel,
modules and configuration, run the scenarios, write the results, and finish it with "pass", "fail",
"skip" or, if it could not be judged, "incomplete".

Results are in the folder NODE, the id of the job, below --out; the tests in its kcidb.json belong to
the build of the job.

A lab that is stopped continues its job when it is started again with the same --out. Errors of the
network and of the API are tried again.

The API has no operation that claims a job: start one lab per name and platform.

This was tested with a stand-in for the API, not with KernelCI's service.

Example:
  faultline lab --api https://HOST/latest --runtime pull-labs-faultline \
      --platform qemu-x86 --token-file token --origin mylab

Exit codes:
  0    with --once: no job is left, whatever the results of the jobs
  2    invalid request, the API refuses the token, or a required program
       is not installed
  3    with --once: the API could not be reached
  130  interrupted`
}

func (c *labCmd) Run(ctx context.Context) error {
	switch err := cmp.Or(checkJobs(c.Jobs), c.checkOrigin()); {
	case err != nil:
		return err
	case !download.IsURL(c.API):
		return errkind.Requestf("--api %s: not a URL; write https://HOST/latest", c.API)
	case c.Interval < time.Second:
		return errkind.Requestf("--interval %v: give at least 1s", c.Interval)
	}
	token := ""
	if c.TokenFile != "" {
		data, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return errkind.Requestf("read the token: %v; give a file with --token-file", err)
		}
		token = strings.TrimSpace(string(data))
	}
	if _, err := qemu.Find(ctx, runtime.GOARCH); err != nil {
		return err
	}
	if _, _, err := run.Pick(ctx, c.selection()); err != nil { // before a job is claimed
		return err
	}
	store, err := cache.Open("")
	if err != nil {
		return err
	}
	store.Log = progress
	return lab.Serve(ctx, lab.Options{
		API: c.API, Token: token, Runtime: c.Runtime, Platforms: c.Platform,
		Out: c.Out, Interval: c.Interval, Once: c.Once, Log: progress,
		Observe: func(ctx context.Context, job lab.Job) (lab.Result, error) { return c.observe(ctx, store, job) },
	})
}

func (c *labCmd) selection() run.Selection {
	return run.Selection{Scenarios: c.Scenario, Label: c.Label}
}

// observe runs a job.
func (c *labCmd) observe(ctx context.Context, store *cache.Cache, job lab.Job) (lab.Result, error) {
	resume := job.Resume
	if folder, err := results.Open(job.Dir); err != nil {
		resume = false // it was stopped before its run began
	} else {
		folder.Close()
	}
	p := newProgress(os.Stderr, term.IsTerminal(int(os.Stderr.Fd())))
	defer p.stop()
	record, _, err := run.Do(ctx, run.Options{
		Kernels: []matrix.Entry{{Spec: job.Spec}}, Selection: c.selection(), Accel: c.Accel, Jobs: c.Jobs,
		Out: job.Dir, Resume: resume, All: true, Origin: c.Origin, Keep: true, Known: true,
		Cache: store, Tool: results.Tool{Version: versionText()}, Command: os.Args, Progress: p,
	})
	switch {
	case err != nil:
		return "", err
	case record.Interrupted:
		return "", cmp.Or(context.Cause(ctx), errors.New("interrupted"))
	}
	if err := writeKCIDB(filepath.Join(job.Dir, "kcidb.json"), *record, job.Build); err != nil {
		return "", err
	}
	switch s := record.Summary; {
	case s.ExitCode == errkind.ExitUnexpected:
		return lab.Fail, nil
	case s.ExitCode != errkind.ExitExpected:
		return "", fmt.Errorf("%d of %d cells could not be judged; see %s", s.Infra, len(record.Cells), job.Dir)
	case s.Expected == 0:
		return lab.Skip, nil
	}
	return lab.Pass, nil
}

// writeKCIDB writes the tests of a job. Without the node of the build the report has a build
// of its own.
func writeKCIDB(name string, record results.Run, build string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	write := func() error { return kcidb.Write(f, record, nil) }
	if build != "" {
		write = func() error { return kcidb.WriteTests(f, record, lab.Origin+":"+build) }
	}
	return errors.Join(write(), f.Close())
}
