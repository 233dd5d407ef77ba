package shard

import (
	"fmt"
	"io"
)

// slurm writes the script of a job array. Each submission has its own folder, so that an
// earlier submission is not mistaken for a requeued one.
func slurm(w io.Writer, j Job) error {
	out := j.out("shards")
	_, err := fmt.Fprintf(w, `#!/bin/bash
# %s
# To submit it as shards.sh, and to merge the shards after all have ended, with any
# exit code (Slurm reports the exit codes 1, 2 and 3 all as FAILED):
#
#   job=$(sbatch --parsable shards.sh)
#   sbatch --dependency=afterany:$job --wait --wrap="%s"
#
# The nodes must share this folder, and need faultline in PATH. They may share
# XDG_CACHE_HOME. A requeued shard (scontrol requeue, a failed node) resumes.
#SBATCH --job-name=faultline
#SBATCH --array=1-%d
#SBATCH --cpus-per-task=%d
#SBATCH --mem=%dG
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@60
set -u
shard=$SLURM_ARRAY_TASK_ID/%d
out=%s/$SLURM_ARRAY_JOB_ID/$SLURM_ARRAY_TASK_ID
set --
%s# exec, so that Slurm's signals reach it.
exec %s
`, j.size(), merge("merged/$job", out+"/$job/*"), j.Shards, j.Jobs, j.gigabytes(), j.Shards, out, resume, j.command())
	return err
}

// gigabytes returns the memory that a shard requests: at most 400 MB of private memory
// per guest, a template that the guests share, and the unpacked kernels.
func (j Job) gigabytes() int { return 2 + (j.Jobs+1)/2 }
