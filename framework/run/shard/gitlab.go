package shard

import (
	"io"

	"github.com/goccy/go-yaml"
)

// gitlab writes a pipeline: the shards as one parallel job, and the merge, whose exit
// code is the verdict. It can be a child pipeline, or be included in another.
func gitlab(w io.Writer, j Job) error {
	if err := j.most(200, "GitLab"); err != nil {
		return err
	}
	out := j.out("shards") + "/$CI_PIPELINE_ID"
	shards := yaml.MapSlice{}
	if j.Image != "" {
		shards = append(shards, yaml.MapItem{Key: "image", Value: word(j.Image)})
	}
	merged := append(yaml.MapSlice{}, shards...)
	shards = append(shards,
		yaml.MapItem{Key: "parallel", Value: j.Shards},
		yaml.MapItem{Key: "variables", Value: yaml.MapSlice{
			// The results of a job stay for its retry.
			{Key: "GIT_CLEAN_FLAGS", Value: word("-ffdx -e /" + j.out("shards") + "/")},
		}},
		yaml.MapItem{Key: "script", Value: []string{
			"shard=$CI_NODE_INDEX/$CI_NODE_TOTAL\nout=" + out + "/$CI_NODE_INDEX\nset --\n" + resume + j.command() + "\n",
		}},
		// A wrong request fails here; the merge reports the results and what failed.
		yaml.MapItem{Key: "allow_failure", Value: yaml.MapSlice{{Key: "exit_codes", Value: []int{1, 3, 130}}}},
		yaml.MapItem{Key: "retry", Value: yaml.MapSlice{
			{Key: "max", Value: 2},
			{Key: "when", Value: []string{"runner_system_failure", "stuck_or_timeout_failure"}},
		}},
		yaml.MapItem{Key: "artifacts", Value: yaml.MapSlice{
			{Key: "when", Value: "always"},
			{Key: "paths", Value: []word{word(j.out("shards") + "/$CI_PIPELINE_ID/")}},
			{Key: "expire_in", Value: "1 week"},
		}},
	)
	merged = append(merged,
		yaml.MapItem{Key: "needs", Value: []string{"faultline"}},
		yaml.MapItem{Key: "when", Value: "always"},
		yaml.MapItem{Key: "script", Value: []word{word(merge("merged", out+"/*"))}},
		yaml.MapItem{Key: "artifacts", Value: yaml.MapSlice{
			{Key: "when", Value: "always"},
			{Key: "paths", Value: []string{"merged/"}},
			{Key: "reports", Value: yaml.MapSlice{{Key: "junit", Value: "merged/junit.xml"}}},
		}},
	)
	return writeYAML(w, j.size()+`
A pipeline to include, or to trigger as a child: the shards, and the merge, whose exit code is
that of the complete run. The jobs need faultline in PATH.`,
		yaml.MapSlice{{Key: "faultline", Value: shards}, {Key: "faultline merge", Value: merged}})
}
