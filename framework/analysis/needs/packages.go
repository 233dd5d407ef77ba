package needs

import (
	"slices"
	"strings"

	"github.com/faultline/faultline/kernels"
)

// endings end the names of the rpm packages of one kernel.
var endings = []string{
	"-modules-core", "-modules-extra", "-modules-internal", "-modules", "-core", "-optional", "-extra",
}

// suseFlavours are the kernels of SUSE, whose packages with more modules have other names.
var suseFlavours = []string{"kernel-default", "kernel-azure", "kernel-longterm", "kernel-vanilla"}

// packageWith says which packages of the distribution that were not given may have a missing
// module. Where Red Hat's, SUSE's and Canonical's builds have the modules of tests and those
// without support: kernel.spec (mod-internal.list), supported.conf, debian.master/control.d.
func packageWith(k *kernels.Kernel) string {
	var names []string
	for _, p := range k.Packages {
		names = append(names, p.Name)
	}
	for _, name := range names {
		var others []string
		switch stem := kernelOf(name); {
		case slices.Contains(suseFlavours, stem):
			others = []string{stem + "-optional", stem + "-extra"}
		case strings.HasPrefix(stem, "kernel"):
			others = []string{stem + "-modules-internal", stem + "-modules-extra"}
		case strings.HasPrefix(name, "linux-image-"), strings.HasPrefix(name, "linux-modules-"):
			others = []string{"linux-modules-extra-" + k.Release}
		default:
			continue
		}
		others = slices.DeleteFunc(others, func(o string) bool { return slices.Contains(names, o) })
		switch text := strings.Join(others, " or "); {
		case text == "":
			return ""
		case strings.HasPrefix(name, "linux-"):
			return "; add the package " + text + ", if there is one"
		default:
			return "; add the package " + text + " of the same build"
		}
	}
	return ""
}

// kernelOf returns the name that the rpm packages of a kernel begin with: kernel-uek for
// kernel-uek-modules-core.
func kernelOf(name string) string {
	for _, end := range endings {
		if stem, ok := strings.CutSuffix(name, end); ok {
			return stem
		}
	}
	return name
}
