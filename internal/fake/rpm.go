package fake

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// RPM makes an rpm package of all files below root, with rpmbuild. Its version is
// VERSION-RELEASE. It works in dir, and returns the package's path. Shell commands in more
// run before the files are packed, in a directory %{buildroot} with a copy of them.
func RPM(ctx context.Context, dir, name, version, arch, root, more string) (string, error) {
	var list []string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, strings.TrimPrefix(path, root))
		}
		return err
	})
	if err != nil {
		return "", err
	}
	slices.Sort(list)
	v, release, _ := strings.Cut(version, "-")
	spec := fmt.Sprintf(`%%define _binary_payload w3.zstdio
%%global __os_install_post %%{nil}
%%define _build_id_links none
%%define debug_package %%{nil}
Name: %s
Version: %s
Release: %s
Summary: a kernel
License: GPL
AutoReqProv: no
%%description
a kernel
%%install
cp -a %s/. %%{buildroot}
%s
%%files
%s
`, name, v, release, root, more, strings.Join(list, "\n"))
	at := filepath.Join(dir, "k.spec")
	if err := os.WriteFile(at, []byte(spec), 0o644); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "rpmbuild", "-bb", "--target", arch, "--define", "_topdir "+dir, at)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("rpmbuild: %w: %s", err, out)
	}
	return filepath.Join(dir, "RPMS", arch, name+"-"+version+"."+arch+".rpm"), nil
}
