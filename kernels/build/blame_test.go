package build

import (
	"os"
	"path/filepath"
	"testing"
)

// What make printed says whose a failure is: the source's, the disk's, or that of
// a program which was there before.
func TestFirstError(t *testing.T) {
	for name, c := range map[string]struct {
		log, first string
		whose      blame
	}{
		"the source's":     {"  CC      a.o\na.c:1:2: error: no such thing\nmake[2]: *** [a.o] Error 1\n", "a.c:1:2: error: no such thing", tree},
		"make's alone":     {"  CC      a.o\nmake[2]: *** [a.o] Error 2\nmake: *** [all] Error 2\n", "make[2]: *** [a.o] Error 2", tree},
		"the disk's":       {"a.c:1:2: error: x\nfatal error: cannot write: No space left on device\n", "fatal error: cannot write: No space left on device", full},
		"a program's":      {"  CC      a.o\n/bin/sh: 1: /usr/bin/ccache: not found\nmake[5]: *** [Makefile.build:255: a.o] Error 127\n", "/bin/sh: 1: /usr/bin/ccache: not found", missing},
		"a script's":       {"/bin/sh: 1: pahole: not found\na.c:1:2: error: y\nmake: *** [a.o] Error 1\n", "a.c:1:2: error: y", tree},
		"nothing at all":   {"", "", tree},
		"no error in a CC": {"  CC      error.o\n", "", tree},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(file, []byte(c.log), 0o644); err != nil {
				t.Fatal(err)
			}
			if first, whose := firstError(file); first != c.first || whose != c.whose {
				t.Errorf("%q, %d", first, whose)
			}
		})
	}
}
