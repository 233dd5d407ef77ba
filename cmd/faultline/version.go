package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by make build (-ldflags -X).
var version string

type versionCmd struct{}

func (versionCmd) Run() error {
	fmt.Printf("faultline %s (%s, %s/%s)\n", versionText(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

// versionText returns the version that was set at build time, else the module version and
// revision from Go's build info.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	revision := settings["vcs.revision"]
	if revision == "" {
		return "devel"
	}
	if settings["vcs.modified"] == "true" {
		revision += "-dirty"
	}
	return "devel-" + revision
}
