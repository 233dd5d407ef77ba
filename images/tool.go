package images

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/faultline/faultline/internal/execx"
)

// runTool runs a program with a fixed environment, so that the caller's settings
// (MKE2FS_SYNC, LANG…) don't affect its result, and returns its output from both
// streams, which an error also contains.
func runTool(ctx context.Context, env []string, tool string, args ...string) (string, error) {
	cmd := execx.Command(ctx, "", nil, tool, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}, env...)
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
