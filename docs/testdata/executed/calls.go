package executed

import (
	"context"
	"os/exec"
	"testing"

	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/internal/exttest"
)

// TestExecutedIsFound checks that each of these is found.
func calls(ctx context.Context, t *testing.T, unknown string) {
	exec.Command("one", "x")
	exec.CommandContext(ctx, "two")
	path, _ := exec.LookPath("three")
	exec.Command(path)
	four, _ := execx.Find("four", "package")
	execx.Run(ctx, "", nil, four)
	execx.Run(ctx, "", nil, "/usr/bin/five")
	execx.Command(ctx, "", nil, "six", "x")
	execx.Ask(ctx, 0, "seven")
	exec.Command(exttest.Program(t, "eight"))
	exec.Command("sh", "-c", "own() { :; }; own; x=$(nine | ten); exec env -i x")

	// The name of this program is not in the code.
	exec.Command(unknown)
}
