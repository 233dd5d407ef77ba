package shard

import (
	"fmt"
	"io"
)

// slurm writes the script of an array. Each submission has a folder of its own,
// so that no run of last night is taken for one that was requeued.
func slurm(w io.Writer, j Job) error {
	out := j.out("shards")
	_, err := fmt.Fprintf(w, `#!/bin/bash
# %s
# To submit it as shards.sh, and to join the shards when all have ended, whatever
# with (Slurm calls the exit codes 1, 2 and 3 all FAILED):
#
#   job=$(sbatch --parsable shards.sh)
#   sbatch --dependency=afterany:$job --wait --wrap="%s"
#
# The nodes share this folder, and have faultline in PATH. XDG_CACHE_HOME may be one for
# all. A shard that is requeued (scontrol requeue, a node that failed) goes on where it was.
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

// gigabytes is the memory that a shard asks for: guests of which 400 MB are their
// own at most, a template that they share, and the kernels that it unpacks.
func (j Job) gigabytes() int { return 2 + (j.Jobs+1)/2 }
