// Command job parses a Kubernetes Job on standard input like an API server with strict
// field validation: by Kubernetes' own types, without unknown fields. It is in its own
// module, so that those types are not dependencies of Faultline.
package main

import (
	"fmt"
	"io"
	"os"

	batch "k8s.io/api/batch/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var job batch.Job
	if err := yaml.UnmarshalStrict(text, &job); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if job.Kind != "Job" || job.APIVersion != batch.SchemeGroupVersion.String() {
		fmt.Fprintf(os.Stderr, "%s %s is not a Job of batch/v1\n", job.APIVersion, job.Kind)
		os.Exit(1)
	}
}
