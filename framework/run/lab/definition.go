package lab

import (
	"time"

	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/kernels/source"
)

// definition is a job definition. Other fields are not interpreted: what the lab observes is
// chosen by its own configuration.
type definition struct {
	Artifacts map[string]string `json:"artifacts"`
	Tests     []struct {
		Timeout int64 `json:"timeout_s"`
	} `json:"tests"`
	Environment struct {
		Arch string `json:"arch"`
	} `json:"environment"`
	Integrity struct {
		SHA256 map[string]string `json:"sha256"`
	} `json:"integrity"`
}

// arch is the architecture whose kernels can be observed, as in KernelCI's platforms.
const arch = "x86_64"

// job returns the job that a definition describes. The kernel's configuration is an artifact
// of its build, which may be nil; without it, the image has to contain it.
func (d *definition) job(build *node) (Job, error) {
	if a := d.Environment.Arch; a != "" && a != arch {
		return Job{}, errkind.Requestf("the job is for %s, not %s", a, arch)
	}
	file := func(name string) string {
		at := d.Artifacts[name]
		if sum := d.Integrity.SHA256[name]; at != "" && sum != "" {
			at += "#sha256=" + sum
		}
		return at
	}
	kernel := file("kernel")
	if kernel == "" {
		return Job{}, errkind.Requestf("the job definition has no artifact named kernel")
	}
	spec := "url:" + kernel
	if modules := file("modules"); modules != "" {
		spec = source.Set(spec, "modules", modules)
	}
	if config := configOf(build); config != "" {
		spec = source.Set(spec, "config", config)
	}
	if err := source.All().Check(spec); err != nil {
		return Job{}, err
	}
	job := Job{Spec: spec}
	for _, t := range d.Tests {
		job.Timeout += time.Duration(max(t.Timeout, 0)) * time.Second
	}
	return job, nil
}

// configOf returns the URL of the configuration of a build.
func configOf(build *node) string {
	if build == nil {
		return ""
	}
	for _, name := range []string{"_config", "config", ".config"} {
		if at := build.Artifacts[name]; at != "" {
			return at
		}
	}
	return ""
}
