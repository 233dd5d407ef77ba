package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/faultline/faultline/internal/errkind"
)

// explore measures generated programs on two and three kernels: the time and the processor
// time of a program, with what it takes to reduce those that differ.
func (b *bench) explore() error {
	const programs = 64
	specs := []string{"apt:bookworm", "apt:bookworm/6.12", newest}
	for n := 2; n <= len(specs); n++ {
		var took, cpu []float64
		for i := range max(b.n/5, 2) + 1 {
			dir, err := os.MkdirTemp("", "faultline-bench-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			args := []string{
				"explore", "--accel", "tcg", "--programs", fmt.Sprint(programs), "--seed", fmt.Sprint(i + 1),
				"--out", filepath.Join(dir, "out"),
			}
			for _, s := range specs[:n] {
				args = append(args, "--kernel", s)
			}
			cmd := exec.CommandContext(b.ctx, "bin/faultline", args...)
			begun := time.Now()
			out, err := cmd.CombinedOutput()
			exit := (*exec.ExitError)(nil)
			if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != errkind.ExitUnexpected) {
				return fmt.Errorf("%w: %s", err, out)
			}
			if i > 0 { // the first may have to boot
				took = append(took, time.Since(begun).Seconds()/programs)
				cpu = append(cpu, (cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()).Seconds()/programs)
			}
		}
		if err := b.put(fmt.Sprintf("explore_program_kernels_%d", n), "s", took); err != nil {
			return err
		}
		if err := b.put(fmt.Sprintf("explore_cpu_kernels_%d", n), "s", cpu); err != nil {
			return err
		}
	}
	return nil
}
