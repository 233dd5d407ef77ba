package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/results"
)

// stopGrace is how long a suite's process may take to clean up after SIGINT.
const stopGrace = 10 * time.Second

// eventsFD is the descriptor on which a suite's process tells its events: the
// first of exec.Cmd.ExtraFiles.
const eventsFD = 3

// drive runs a task in a suite's process and hands on its cells. said is the
// end of what the process printed; its exit status counts only where it did not
// deliver, because a failed scenario makes it 1.
func (r *run) drive(ctx context.Context, t task, cell func(observe.Cell)) (said string, err error) {
	events, theirs, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer events.Close()
	args := []string{
		"-test.run=.", "-ginkgo.no-color", "-ginkgo.label-filter=" + framework.Filter(t.ids),
		"--faultline.kernel=" + t.kernel.Spec, "--faultline.name=" + t.kernel.Name, "--faultline.digest=" + t.kernel.Digest,
		"--faultline.accel=" + string(t.kernel.accel), fmt.Sprint("--faultline.events=", eventsFD),
		"--faultline.console=" + r.folder.Path(results.KernelDir(t.kernel.Name), "consoles"),
	}
	var ids []string
	for id := range t.kernel.has {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for _, id := range ids {
		args = append(args, fmt.Sprintf("--faultline.has=%s=%t", id, t.kernel.has[id]))
	}
	cmd := exec.CommandContext(ctx, t.suite.Binary, args...)
	cmd.Dir = filepath.Dir(t.suite.Binary)
	cmd.ExtraFiles = []*os.File{theirs}
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
		return "", fmt.Errorf("start %s: %w", t.suite.Binary, err)
	}
	decoder := json.NewDecoder(events)
	var broken error
	for {
		var e framework.Event
		if err := decoder.Decode(&e); err != nil {
			if !errors.Is(err, io.EOF) {
				broken = fmt.Errorf("read its events: %w", err)
			}
			break
		}
		if e.Finished != nil {
			cell(*e.Finished)
		}
	}
	if err := <-ended; err != nil {
		broken = errors.Join(err, broken)
	}
	return out.String(), broken
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
