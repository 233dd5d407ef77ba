package executed

import (
	"context"
	"os/exec"
	"testing"

	"github.com/faultline/faultline/internal/reader"
	"github.com/faultline/faultline/internal/tool"
)

// Each of these is found by TestExecutedIsFound.
func calls(ctx context.Context, t *testing.T, unknown string) {
	exec.Command("one", "x")
	exec.CommandContext(ctx, "two")
	path, _ := exec.LookPath("three")
	exec.Command(path)
	four, _ := tool.Find("four", "package")
	tool.Run(ctx, "", nil, four)
	tool.Run(ctx, "", nil, "/usr/bin/five")
	tool.Command(ctx, "", nil, "six", "x")
	tool.Ask(ctx, 0, "seven")
	exec.Command(reader.Program(t, "eight"))
	exec.Command("sh", "-c", "own() { :; }; own; x=$(nine | ten); exec env -i x")

	// Nobody can see what this is.
	exec.Command(unknown)
}
