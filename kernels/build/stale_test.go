package build

import (
	"bytes"
	"testing"
)

const memoryCmd = `cmd_mm/memory.o := gcc -Wp,-MMD,mm/.memory.o.d -nostdinc -c -o mm/memory.o /source/mm/memory.c

source_mm/memory.o := /source/mm/memory.c

deps_mm/memory.o := \
    $(wildcard include/config/LRU_GEN) \
  /source/include/linux/compiler-version.h \
  include/generated/bounds.h \

mm/memory.o: $(deps_mm/memory.o)

$(deps_mm/memory.o):
`

func TestParse(t *testing.T) {
	for name, c := range map[string]struct{ text, object, want string }{
		"compiled":     {memoryCmd, "mm/memory.o", "/source/mm/memory.c /source/include/linux/compiler-version.h include/generated/bounds.h"},
		"newer make":   {"saved" + memoryCmd, "mm/memory.o", "/source/mm/memory.c /source/include/linux/compiler-version.h include/generated/bounds.h"},
		"linked":       {"cmd_vmlinux.o := ld -r -o vmlinux.o\n", "", ""},
		"half written": {"cmd_x.o := gcc\n\nsource_x.o := x.c\n\ndeps_x.o := \\\n  x.", "x.o", "x.c x."},
		"cut off":      {"cmd_x.o := gcc\n\nsource_x.o", "", ""},
		"nothing":      {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			object, madeOf := parse([]byte(c.text))
			var got [][]byte
			if madeOf != nil {
				for f := range madeOf {
					got = append(got, f)
				}
			}
			if all := string(bytes.Join(got, []byte(" "))); string(object) != c.object || all != c.want {
				t.Errorf("got %q of %q, want %q of %q", object, all, c.object, c.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(memoryCmd))
	f.Add([]byte("\nsource_ := \n\\\n$"))
	f.Fuzz(func(t *testing.T, data []byte) {
		name, madeOf := parse(data)
		if (name == nil) != (madeOf == nil) {
			t.Fatal("got inputs of no file")
		}
		if madeOf == nil {
			return
		}
		n := 0
		for file := range madeOf {
			if n++; len(file) == 0 && n > 1 {
				t.Errorf("input %d has no name", n)
			}
		}
	})
}
