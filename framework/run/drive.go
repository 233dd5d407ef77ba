package run

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/internal/execx"
)

// stopGrace is how long a suite's process may take to clean up after SIGINT.
const stopGrace = 10 * time.Second

// silence is how long a suite's process may tell nothing: longer than a boot
// and the longest that a scenario and its cleanup may take. Ginkgo bounds
// those; this is for a process that is beyond that.
const silence = 8 * time.Minute

// lastWords is how long events are read for after the process ended, where
// another still holds the pipe.
const lastWords = time.Second

// Descriptors of a suite's process: the first of exec.Cmd.ExtraFiles, on which it
// tells its events, and the second, on which it hears that it goes on.
const eventsFD, resumeFD = 3, 4

// drive runs a task in a suite's process and hands on its cells. f is who follows
// it, nil for nobody. said is the end of what the process printed; its exit status
// counts only where it did not deliver, because a failed scenario makes it 1.
func (o *Executor) drive(ctx context.Context, t plan.Task, f *Follow, cell func(observe.Cell)) (said string, err error) {
	events, theirs, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer events.Close()
	var ids []string
	for _, i := range t.Scenarios {
		ids = append(ids, i.ID)
	}
	args := []string{
		"-ginkgo.no-color", "-ginkgo.label-filter=" + scenario.Filter(ids),
		"--faultline.kernel=" + t.Kernel.Spec, "--faultline.name=" + t.Kernel.Name, "--faultline.digest=" + t.Kernel.Digest,
		"--faultline.accel=" + string(t.Kernel.Accel), fmt.Sprint("--faultline.events=", eventsFD),
	}
	if key := t.Kernel.Key(); key != "" {
		args = append(args, "--faultline.cached="+key)
	}
	for _, made := range o.of(t.Kernel).templates {
		if made.Accel() == t.Kernel.Accel {
			args = append(args, "--faultline.template="+made.Key())
		}
	}
	if o.Consoles != nil {
		args = append(args, "--faultline.console="+o.Consoles(t.Kernel.Name))
	}
	silence, heard := o.silence, func(scenario.Event) {}
	extra := []*os.File{theirs}
	if f != nil {
		goOn, ours, err := os.Pipe()
		if err != nil {
			return "", err
		}
		defer goOn.Close()
		defer ours.Close()
		extra, args = append(extra, goOn), append(args, f.args()...)
		silence, heard = f.silence(silence), func(e scenario.Event) { f.hear(e, ours) }
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// In our own folder, which relative paths are meant from: the spec's, TMPDIR's.
	cmd := execx.Command(ctx, "", nil, t.Suite.Binary, slices.Concat(t.Suite.Args, args, []string{t.Suite.Name})...)
	cmd.ExtraFiles = extra
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGINT) } // Ginkgo runs its cleanups then
	cmd.WaitDelay = stopGrace
	// In a group of its own it hears Ctrl-C from us alone; and it dies with us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	out := &tail{most: 8 << 10}
	cmd.Stdout, cmd.Stderr = out, out
	ended := make(chan error, 1)
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the death signal comes when this thread ends
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		theirs.Close()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return "", fmt.Errorf("start %s: %w", t.Suite.Binary, err)
	}
	watchdog := time.AfterFunc(silence, func() {
		cancel(fmt.Errorf("the suite's process told nothing for %v and was stopped", silence))
	})
	defer watchdog.Stop()
	told := make(chan error, 1)
	go func() {
		told <- readEvents(events, func() { watchdog.Reset(silence) }, func(e scenario.Event) {
			if heard(e); e.Finished != nil {
				cell(*e.Finished)
			}
		})
	}()
	err = <-ended
	// What it started may hold the pipe longer than it lived.
	events.SetReadDeadline(time.Now().Add(lastWords))
	err = errors.Join(err, <-told)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return out.String(), err
}

// maxEvent bounds an event, in bytes. A cell has some 10 KiB, with a kernel's whole
// log 1 MiB.
const maxEvent = 64 << 20

// readEvents hands on what a suite's process tells, one JSON value a line. A line
// that is none, or too long for one, costs its own cell only; the first is the
// error. alive is called for each line.
func readEvents(from io.Reader, alive func(), hear func(scenario.Event)) error {
	var broken error
	lines := bufio.NewReader(from)
	for {
		line, err := readLine(lines, maxEvent)
		if len(line) > 0 && err == nil {
			alive()
			var e scenario.Event
			if wrong := json.Unmarshal(line, &e); wrong != nil && broken == nil {
				broken = fmt.Errorf("it told %.60q, which is no event: %w", line, wrong)
			} else if wrong == nil {
				hear(e)
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
			return broken
		default:
			return errors.Join(broken, fmt.Errorf("read its events: %w", err))
		}
	}
}

// readLine is the next line, with its end; of one that is longer than most it is
// the beginning, without.
func readLine(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part[:min(len(part), most-len(line))]...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	most int
	data []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if over := len(t.data) - t.most; over > 0 {
		t.data = append([]byte{}, t.data[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.data))
}
