// Package lab makes a machine a pull lab of KernelCI: it asks the API (Maestro) for jobs,
// claims them, and reports how they ended. The protocol is that of kernelci-pipeline,
// doc/connecting-pull-lab.md, and kernelci-core, config/runtime/base/pull_labs.jinja2. It
// runs nothing itself: the caller observes the kernel of a job.
package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

// Options describe a lab.
type Options struct {
	API       string   // its URL, with the version: https://HOST/latest
	Token     string   // of the API; it is not logged
	Runtime   string   // the name of the lab in the pipeline's configuration
	Platforms []string // of the jobs to take; none means all
	Out       string   // the folder for the state and the results of jobs
	Interval  time.Duration
	Once      bool // poll once
	Log       func(format string, args ...any)
	// Observe runs a job. An error that is not the job's fault ends the lab's work on it
	// with an infrastructure failure.
	Observe func(ctx context.Context, job Job) (Result, error)
}

// Origin is KernelCI's name in KCIDB: the id of a build there is "maestro:NODE".
const Origin = "maestro"

// Job is a claimed job.
type Job struct {
	Node    string // its id
	Spec    string // of the kernel
	Build   string // the id of the node of the kernel's build, or ""
	Dir     string // for its results
	Resume  bool   // it was begun before
	Timeout time.Duration
}

// Result is the result of a job, as the API names it.
type Result string

// The results of a job that was run. Incomplete is set for a job that was not.
const (
	Pass       Result = "pass"
	Fail       Result = "fail"
	Skip       Result = "skip"
	Incomplete Result = "incomplete"
)

// Error codes of an incomplete job (kernelci-core, kernelci/api/models.py, ErrorCodes).
const (
	codeInfrastructure = "Infrastructure"
	codeInvalid        = "invalid_job_params"
)

// outcome is how a job ended. Code and Message are empty unless it is incomplete.
type outcome struct {
	Result  Result `json:"result"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// work is a job in progress.
type work struct {
	Node    string   `json:"node"`
	Claim   string   `json:"claim"` // the job id that the lab wrote to the node
	Outcome *outcome `json:"outcome,omitempty"`
}

// lab is a lab at work.
type lab struct {
	Options
	client *http.Client
	state  state
}

// Serve polls the API and runs its jobs one after the other, until ctx ends or, with Once,
// until no job is left. A job that was in progress when the lab ended is continued. Errors of
// the network and of the API are tried again later, unless Once; an API that refuses the token
// is an error of the request.
func Serve(ctx context.Context, opt Options) error {
	l := &lab{Options: opt, client: &http.Client{Timeout: requestLimit}}
	if err := l.load(); err != nil {
		return err
	}
	wait := opt.Interval
	for {
		more, err := l.poll(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && (opt.Once || errkind.Of(err) != errkind.Infra):
			return err
		case err != nil:
			wait = min(2*wait, mostWait)
			l.Log("%v; trying again in %v", err, wait)
		case more:
			continue
		case opt.Once:
			return nil
		default:
			wait = opt.Interval
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// Times.
const (
	requestLimit = time.Minute
	mostWait     = 10 * time.Minute
)

// poll works on the jobs that are available. more reports that there may be further ones.
func (l *lab) poll(ctx context.Context) (more bool, err error) {
	if l.state.Work != nil {
		if err := l.resume(ctx); err != nil {
			return false, err
		}
	}
	events, err := l.events(ctx, l.state.From)
	if err != nil {
		return false, err
	}
	for _, e := range events {
		if l.mine(e) {
			if err := l.take(ctx, e.Node.ID); err != nil {
				return false, err
			}
		}
		l.state.From = e.Timestamp
		if err := l.save(); err != nil {
			return false, err
		}
	}
	return len(events) >= mostEvents, nil
}

// mine reports whether an event is about a job of this lab that was not taken yet.
func (l *lab) mine(e event) bool {
	n := e.Node
	return n.ID != "" && n.Data.Runtime == l.Runtime && n.Artifacts[definitionArtifact] != "" &&
		(len(l.Platforms) == 0 || slices.Contains(l.Platforms, n.Data.Platform)) &&
		!slices.Contains(l.state.Taken, n.ID)
}

// take claims a job, and runs it. The API has no operation that claims a job at once: the lab
// writes its mark, and reads the node again. Two labs with one name can still run a job twice.
func (l *lab) take(ctx context.Context, id string) error {
	n, err := l.node(ctx, id)
	if err != nil {
		return l.lost(id, err)
	}
	if n.State != stateAvailable || n.Data.JobID != "" {
		l.Log("skip job %s: it is %s, and claimed by %q", id, n.State, n.Data.JobID)
		return l.taken(id)
	}
	w := &work{Node: id, Claim: l.Runtime + ":" + rand.Text()}
	n.set("data", "job_id", w.Claim)
	if err := l.put(ctx, n); err != nil {
		return l.lost(id, err)
	}
	l.state.Work = w
	if err := l.taken(id); err != nil {
		return err
	}
	if n, err = l.node(ctx, id); err != nil {
		return err
	}
	if n.Data.JobID != w.Claim {
		l.Log("skip job %s: %q claimed it at the same time", id, n.Data.JobID)
		return l.drop()
	}
	return l.run(ctx, n, false)
}

// lost handles an error about one node: a node that is gone, or is refused, costs only itself.
func (l *lab) lost(id string, err error) error {
	var refused *refusedError
	if !errors.As(err, &refused) || refused.token() {
		return err
	}
	l.Log("skip job %s: %v", id, err)
	return l.taken(id)
}

// resume continues the job that was in progress when the lab ended.
func (l *lab) resume(ctx context.Context) error {
	w := l.state.Work
	n, err := l.node(ctx, w.Node)
	if err != nil {
		if err := l.lost(w.Node, err); err != nil {
			return err
		}
		return l.drop()
	}
	if n.State != stateAvailable || n.Data.JobID != w.Claim {
		l.Log("drop job %s: it is %s, and claimed by %q", w.Node, n.State, n.Data.JobID)
		return l.drop()
	}
	if w.Outcome != nil {
		return l.finish(ctx, n)
	}
	l.Log("continue job %s", w.Node)
	return l.run(ctx, n, true)
}

// run runs a claimed job, and reports its outcome.
func (l *lab) run(ctx context.Context, n *node, resume bool) error {
	result, err := l.observe(ctx, n, resume)
	if ctx.Err() != nil {
		return context.Cause(ctx) // continued when the lab is started again
	}
	out := outcome{Result: result}
	switch {
	case err != nil && errkind.Of(err) == errkind.Request:
		out = outcome{Incomplete, codeInvalid, err.Error()}
	case err != nil:
		out = outcome{Incomplete, codeInfrastructure, err.Error()}
	}
	l.state.Work.Outcome = &out
	if err := l.save(); err != nil {
		return err
	}
	return l.finish(ctx, n)
}

func (l *lab) observe(ctx context.Context, n *node, resume bool) (Result, error) {
	build, err := l.build(ctx, n)
	if err != nil {
		return "", err
	}
	d, err := l.definition(ctx, n.Artifacts[definitionArtifact])
	if err != nil {
		return "", err
	}
	job, err := d.job(build)
	if err != nil {
		return "", err
	}
	job.Node, job.Resume, job.Dir = n.ID, resume, filepath.Join(l.Out, results.Slug(n.ID))
	if build != nil {
		job.Build = build.ID
	}
	l.Log("job %s: %s", job.Node, job.Spec)
	limited, cancel := ctx, context.CancelFunc(func() {})
	if job.Timeout > 0 {
		limited, cancel = context.WithTimeoutCause(ctx, job.Timeout,
			fmt.Errorf("the job took longer than its tests may, %v", job.Timeout))
	}
	defer cancel()
	result, err := l.Observe(limited, job)
	if limited.Err() != nil && ctx.Err() == nil {
		err = context.Cause(limited)
	}
	return result, err
}

// finish reports the outcome of the job in progress.
func (l *lab) finish(ctx context.Context, n *node) error {
	out := l.state.Work.Outcome
	n, err := l.node(ctx, n.ID)
	if err == nil {
		n.set("", "state", stateDone)
		n.set("", "result", out.Result)
		if out.Code != "" {
			n.set("data", "error_code", out.Code)
			n.set("data", "error_msg", out.Message)
		}
		err = l.put(ctx, n)
	}
	if err != nil {
		if err := l.lost(l.state.Work.Node, err); err != nil {
			return err
		}
		return l.drop()
	}
	l.Log("job %s: %s%s", n.ID, out.Result, map[bool]string{true: ": " + out.Message}[out.Message != ""])
	return l.drop()
}
