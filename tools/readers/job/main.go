// Command job reads a Kubernetes Job on standard input as the API server does that
// validates fields strictly: by Kubernetes' own types, and with no field that they
// do not know. It is of a module of its own, so that these are no dependencies of ours.
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
		fmt.Fprintf(os.Stderr, "%s %s is no Job of batch/v1\n", job.APIVersion, job.Kind)
		os.Exit(1)
	}
}
