package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/faultline/faultline/framework/run/bisect"
	"github.com/faultline/faultline/internal/fake"
	"github.com/faultline/faultline/internal/git"
)

// bisect measures the cost of a bisection step without building and booting, with a
// history of 16 commits whose make copies the kernels of the default matrix.
func (b *bench) bisect() error {
	dir, err := os.MkdirTemp("", "faultline-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tree := filepath.Join(dir, "linux")
	for n := range 16 {
		files := map[string]string{fmt.Sprint("file", n): "x"}
		switch n {
		case 0:
			files = fake.Tree(b.kernels[0].Image)
		case 9:
			files["image"] = b.kernels[1].Image
		}
		if err := commitFiles(b.ctx, tree, n, files); err != nil {
			return err
		}
	}
	var samples []float64
	for i := range max(b.n/3, 3) {
		out := filepath.Join(dir, fmt.Sprint("out", i))
		output, err := exec.CommandContext(b.ctx, "bin/faultline", "bisect",
			"--accel", "tcg", "--tree", tree, "--old", "main~15", "--new", "main",
			"--scenario", "dax/ext4/shared-read", "--out", out).
			CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
		data, err := os.ReadFile(filepath.Join(out, bisect.File))
		if err != nil {
			return err
		}
		var r bisect.Record
		if err := json.Unmarshal(data, &r); err != nil {
			return err
		}
		own := r.Finished.Sub(r.Started).Seconds()
		for _, s := range r.Steps {
			own -= s.BuildSeconds + s.Column.BootMillis/1000
		}
		samples = append(samples, own/float64(len(r.Steps)))
	}
	return b.put("bisect_step", "s", samples)
}

func commitFiles(ctx context.Context, tree string, n int, files map[string]string) error {
	for name, text := range files {
		p := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			return err
		}
	}
	const who = "faultline"
	env := []string{
		"GIT_AUTHOR_NAME=" + who, "GIT_AUTHOR_EMAIL=" + who + "@localhost",
		"GIT_COMMITTER_NAME=" + who, "GIT_COMMITTER_EMAIL=" + who + "@localhost",
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"commit", "-qm", fmt.Sprint(n)}} {
		if _, err := git.Run(ctx, tree, env, nil, args...); err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
	}
	return nil
}
