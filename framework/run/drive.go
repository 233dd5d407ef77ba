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

// stopGrace is how long a suite process may take to clean up after SIGINT.
const stopGrace = 10 * time.Second

// silence is how long a suite process may send no event: longer than a boot, and longer
// than a scenario with its cleanup may take. Ginkgo bounds those; this catches a process
// in which Ginkgo itself hangs.
const silence = 8 * time.Minute

// lastWords is how long events are read after the process ended, if another process
// still holds the pipe.
const lastWords = time.Second

// Descriptors of a suite process: the first of exec.Cmd.ExtraFiles, to which it writes
// its events, and the second, from which it reads when to resume.
const eventsFD, resumeFD = 3, 4

// drive runs a task in a suite process and passes on its cells. f, if not nil, follows
// it. output is the end of the process's output. Its exit status matters only if cells are
// missing, because a failed scenario makes it 1.
func (o *Executor) drive(
	ctx context.Context,
	t plan.Task,
	f *Follow,
	cell func(observe.Cell),
) (output string, err error) {
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
		silence, heard = f.silence(silence), func(e scenario.Event) { f.onEvent(e, ours) }
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// It inherits our working directory, for relative paths in the spec and in TMPDIR.
	cmd := execx.Command(ctx, "", nil, t.Suite.Program, slices.Concat(t.Suite.Args, args, []string{t.Suite.Name})...)
	cmd.ExtraFiles = extra
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGINT) } // Ginkgo runs its cleanups then
	cmd.WaitDelay = stopGrace
	// Its own process group: Ctrl-C reaches it only through us. And it dies with us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	out := &tail{most: 8 << 10}
	cmd.Stdout, cmd.Stderr = out, out
	ended := make(chan error, 1)
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig is sent when this thread ends
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		theirs.Close()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return "", fmt.Errorf("start %s: %w", t.Suite.Program, err)
	}
	watchdog := time.AfterFunc(silence, func() {
		cancel(fmt.Errorf("no events for %v; stopped", silence))
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
	// A process that it started may hold the pipe after its own end.
	events.SetReadDeadline(time.Now().Add(lastWords))
	err = errors.Join(err, <-told)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return out.String(), err
}

// maxEvent bounds an event, in bytes. A cell takes some 10 KiB, or 1 MiB with a complete
// kernel log.
const maxEvent = 64 << 20

// readEvents passes on the events of a suite process, one JSON value per line. A line
// that is malformed or too long loses only its own cell; the first such line is returned as
// the error. alive is called for each line.
func readEvents(from io.Reader, alive func(), hear func(scenario.Event)) error {
	var broken error
	lines := bufio.NewReader(from)
	for {
		line, err := readLine(lines, maxEvent)
		if len(line) > 0 && err == nil {
			alive()
			var e scenario.Event
			if wrong := json.Unmarshal(line, &e); wrong != nil && broken == nil {
				broken = fmt.Errorf("malformed event %.60q: %w", line, wrong)
			} else if wrong == nil {
				hear(e)
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
			return broken
		default:
			return errors.Join(broken, fmt.Errorf("read events of the suite process: %w", err))
		}
	}
}

// readLine returns the next line with its newline; a line longer than most is cut, and
// has none.
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
