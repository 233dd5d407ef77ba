package images

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// outputLimit is how long the output of a program may take to end after the program
// itself: a busy host may be so long about it.
const outputLimit = 30 * time.Second

// runTool runs a program with a fixed environment, in which the caller's
// settings (MKE2FS_SYNC, LANG…) can't change what it makes, and returns what
// it printed on both streams, which an error holds too.
func runTool(ctx context.Context, env []string, tool string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}, env...)
	cmd.WaitDelay = outputLimit
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return out.String(), fmt.Errorf("run %s %s: %w\n%s", tool, strings.Join(args, " "), err, bytes.TrimSpace(out.Bytes()))
	}
	return out.String(), nil
}
