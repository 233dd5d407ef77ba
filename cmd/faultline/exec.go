package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/internal/errkind"
)

type execCmd struct {
	guestFlags
	Command []string `arg:"" passthrough:"partial" help:"Static program on this machine, and its arguments."`
}

func (execCmd) Help() string {
	return `Copy the program into a new guest over SSH and run it there as root, without a shell. Standard input,
output and error are passed through. The program must be static: a guest has no libraries. Flags of
faultline go before the command; what follows it is passed to the program.

` + guestDevices + `
` + specsHelp + `
Examples:
  CGO_ENABLED=0 go build -o /tmp/probe ./cmd/faultline/testdata/probe
  faultline exec apt:bookworm -- /tmp/probe args one two
  faultline exec --dry-run apt:bookworm/6.12 -- /tmp/probe args

` + guestExits
}

func (c *execCmd) Run(ctx context.Context) error {
	argv := c.Command
	if len(argv) > 0 && argv[0] == "--" {
		argv = argv[1:]
	}
	if len(argv) == 0 {
		return errkind.Requestf(
			"no program given (%s is the kernel); write: faultline exec KERNEL -- ./program [ARGUMENT...]", c.Kernel)
	}
	path, err := static(argv[0])
	if err != nil {
		return err
	}
	return c.session(ctx, func(ctx context.Context, guest *vm.SSHClient) error {
		there := "/run/exec/" + filepath.Base(path)
		if err := guest.Put(ctx, path, there); err != nil {
			return fmt.Errorf("copy %s into the guest: %w", path, err)
		}
		return exited(guest.Exec(ctx, append([]string{there}, argv[1:]...),
			vm.Streams{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}))
	})
}
