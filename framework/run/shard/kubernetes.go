package shard

import (
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/faultline/faultline/internal/errkind"
)

// kubernetes writes an Indexed Job. All pods mount its volume claim, which stores the
// shards' results, so that a replacement pod can resume.
func kubernetes(w io.Writer, j Job) error {
	out := j.out("/shards")
	if j.Image == "" {
		return errkind.Requestf("--for k8s needs --image IMAGE, a container image that contains faultline")
	}
	if !path.IsAbs(out) {
		return errkind.Requestf("--out %s: not an absolute path; give the path at which pods mount the claim", out)
	}
	script := fmt.Sprintf(`shard=$((JOB_COMPLETION_INDEX + 1))/%d
out=$OUT/$JOB/$((JOB_COMPLETION_INDEX + 1))
set -- "$@" --shard "$shard" --out "$out"
%s# exec, so that a signal to the pod reaches it.
exec "$@"
`, j.Shards, strings.Replace(resume, "set -- ", `set -- "$@" `, 1))
	field := func(label string) yaml.MapSlice {
		return yaml.MapSlice{
			{Key: "fieldRef", Value: yaml.MapSlice{{Key: "fieldPath", Value: word("metadata.labels['" + label + "']")}}},
		}
	}
	asked := yaml.MapSlice{
		{Key: "cpu", Value: word(fmt.Sprint(j.Jobs))},
		{Key: "memory", Value: word(fmt.Sprint(j.gigabytes(), "Gi"))},
	}
	container := yaml.MapSlice{
		{Key: "name", Value: "faultline"},
		{Key: "image", Value: word(j.Image)},
		{Key: "command", Value: []string{"sh", "-c", escaped(script), "faultline"}},
		{Key: "args", Value: quoted(escapedAll(j.Command))},
		{Key: "env", Value: []yaml.MapSlice{
			{{Key: "name", Value: "JOB"}, {Key: "valueFrom", Value: field("batch.kubernetes.io/job-name")}},
			{{Key: "name", Value: "OUT"}, {Key: "value", Value: word(out)}},
			{{Key: "name", Value: "XDG_CACHE_HOME"}, {Key: "value", Value: word(path.Join(out, "cache"))}},
		}},
		{Key: "resources", Value: yaml.MapSlice{{Key: "requests", Value: asked}}},
		{Key: "volumeMounts", Value: []yaml.MapSlice{{{Key: "name", Value: "shards"}, {Key: "mountPath", Value: word(out)}}}},
	}
	spec := yaml.MapSlice{
		{Key: "completionMode", Value: "Indexed"},
		{Key: "completions", Value: j.Shards},
		{Key: "parallelism", Value: j.Shards},
		{Key: "backoffLimitPerIndex", Value: 2},
		{Key: "podFailurePolicy", Value: yaml.MapSlice{{Key: "rules", Value: []yaml.MapSlice{
			// An evicted pod is no failure. A retry does not change what was observed (1),
			// or a wrong request (2).
			{
				{Key: "action", Value: "Ignore"},
				{Key: "onPodConditions", Value: []yaml.MapSlice{{{Key: "type", Value: "DisruptionTarget"}}}},
			},
			{{Key: "action", Value: "FailIndex"}, {Key: "onExitCodes", Value: yaml.MapSlice{
				{Key: "containerName", Value: "faultline"}, {Key: "operator", Value: "In"}, {Key: "values", Value: []int{1, 2}},
			}}},
		}}}},
		{Key: "template", Value: yaml.MapSlice{{Key: "spec", Value: yaml.MapSlice{
			{Key: "restartPolicy", Value: "Never"},
			{Key: "containers", Value: []yaml.MapSlice{container}},
			{Key: "volumes", Value: []yaml.MapSlice{{
				{Key: "name", Value: "shards"},
				{Key: "persistentVolumeClaim", Value: yaml.MapSlice{{Key: "claimName", Value: "faultline"}}},
			}}},
		}}}},
	}
	return writeYAML(w, j.size()+`
For Kubernetes 1.29 or later, with a claim "faultline" that all pods can write to:

  job=$(kubectl create -o name -f shards.yaml)
  `+merge("merged", "OUT/${job#*/}/*")+`

Run the second command after all pods have ended, with any exit code, where the claim is
mounted as OUT. A replacement pod resumes from the results in the claim. Guests run without
KVM, unless a device plugin of the cluster provides /dev/kvm to the container.`,
		yaml.MapSlice{
			{Key: "apiVersion", Value: "batch/v1"},
			{Key: "kind", Value: "Job"},
			{Key: "metadata", Value: yaml.MapSlice{{Key: "generateName", Value: "faultline-"}}},
			{Key: "spec", Value: spec},
		})
}

// escaped escapes a text so that Kubernetes expands no $(VARIABLE) in it: Kubernetes reads
// "$$" as "$", and leaves any other "$" that is not followed by a parenthesis.
func escaped(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '$' && i+1 < len(text) && (text[i+1] == '$' || text[i+1] == '(') {
			b.WriteByte('$')
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

func escapedAll(words []string) (out []string) {
	for _, w := range words {
		out = append(out, escaped(w))
	}
	return out
}
