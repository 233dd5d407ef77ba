package build

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The output of make determines the cause of a failure: the source, the disk, or a
// program that is missing.
func TestFirstFailure(t *testing.T) {
	for name, c := range map[string]struct {
		log, line string
		cause     blame
		advice    string // in the advice, or the package
	}{
		"the source's":        {"  CC      a.o\na.c:1:2: error: no such thing\nmake[2]: *** [a.o] Error 1\n", "a.c:1:2: error: no such thing", tree, ""},
		"make's alone":        {"  CC      a.o\nmake[2]: *** [a.o] Error 2\nmake: *** [all] Error 2\n", "make[2]: *** [a.o] Error 2", tree, ""},
		"the disk's":          {"a.c:1:2: error: x\nfatal error: cannot write: No space left on device\n", "fatal error: cannot write: No space left on device", full, ""},
		"a quota":             {"cp: error writing 'vmlinux': Disk quota exceeded\n", "cp: error writing 'vmlinux': Disk quota exceeded", full, ""},
		"a program's":         {"  CC      a.o\n/bin/sh: 1: /usr/bin/ccache: not found\nmake[5]: *** [Makefile.build:255: a.o] Error 127\n", "/bin/sh: 1: /usr/bin/ccache: not found", missing, ""},
		"a known program":     {"  GEN     x\n/bin/sh: 1: lz4c: not found\nmake[5]: *** [x] Error 127\n", "/bin/sh: 1: lz4c: not found", missing, "lz4"},
		"of bash":             {"scripts/link-vmlinux.sh: line 113: pahole: command not found\nmake[2]: *** [vmlinux] Error 127\n", "scripts/link-vmlinux.sh: line 113: pahole: command not found", missing, "dwarves"},
		"of make":             {"make[1]: bison: No such file or directory\nmake[1]: *** [scripts/kconfig/parser.tab.h] Error 127\n", "make[1]: bison: No such file or directory", missing, "bison"},
		"a script's":          {"/bin/sh: 1: pahole: not found\na.c:1:2: error: y\nmake: *** [a.o] Error 1\n", "a.c:1:2: error: y", tree, ""},
		"a header":            {"scripts/sign-file.c:25:10: fatal error: openssl/opensslv.h: No such file or directory\nmake[2]: *** [x] Error 1\n", "scripts/sign-file.c:25:10: fatal error: openssl/opensslv.h: No such file or directory", missing, "libssl-dev"},
		"a plugin's":          {"gcc-common.h:7:10: fatal error: gmp.h: No such file or directory\n", "gcc-common.h:7:10: fatal error: gmp.h: No such file or directory", missing, "libgmp-dev"},
		"its own header":      {"a.c:1:10: fatal error: linux/no.h: No such file or directory\n", "a.c:1:10: fatal error: linux/no.h: No such file or directory", tree, ""},
		"BTF":                 {"  BTFIDS  vmlinux\nFAILED: load BTF from vmlinux: Invalid argument\nmake[1]: *** [Makefile:1221: vmlinux] Error 255\nmake[1]: *** Deleting file 'vmlinux'\n", "FAILED: load BTF from vmlinux: Invalid argument", tree, "unset CONFIG_DEBUG_INFO_BTF"},
		"no BTF":              {"Failed to generate BTF for vmlinux\nTry to disable CONFIG_DEBUG_INFO_BTF\nmake: *** [vmlinux] Error 1\n", "Failed to generate BTF for vmlinux", tree, "CONFIG_DEBUG_INFO_BTF"},
		"modpost":             {"  MODPOST Module.symvers\nWARNING: modpost: missing MODULE_DESCRIPTION() in x.o\nERROR: modpost: \"dax_lock\" [drivers/x/x.ko] undefined!\nmake[2]: *** [Module.symvers] Error 1\n", "ERROR: modpost: \"dax_lock\" [drivers/x/x.ko] undefined!", tree, "a module needs"},
		"an old modpost":      {"ERROR: \"dax_lock\" [drivers/x/x.ko] undefined!\nmake[1]: *** [__modpost] Error 1\n", "ERROR: \"dax_lock\" [drivers/x/x.ko] undefined!", tree, "a module needs"},
		"memory":              {"  LD      vmlinux.o\nKilled\nmake[1]: *** [vmlinux.o] Error 137\n", "Killed", memory, ""},
		"a compiler's":        {"gcc: fatal error: Killed signal terminated program cc1\ncompilation terminated.\nmake[3]: *** [a.o] Error 1\n", "gcc: fatal error: Killed signal terminated program cc1", memory, ""},
		"a linker's":          {"collect2: fatal error: ld terminated with signal 9 [Killed]\n", "collect2: fatal error: ld terminated with signal 9 [Killed]", memory, ""},
		"Rust":                {"error[E0425]: cannot find value `x` in this scope\nmake[2]: *** [rust/kernel.o] Error 1\n", "error[E0425]: cannot find value `x` in this scope", tree, "unset CONFIG_RUST"},
		"an old Rust":         {"***\n*** Rust compiler 'rustc' is too old.\nmake: *** [prepare] Error 1\n", "*** Rust compiler 'rustc' is too old.", tree, "unset CONFIG_RUST"},
		"objtool":             {"vmlinux.o: error: objtool: f+0x1: unsupported stack register modification\nmake[2]: *** [vmlinux.o] Error 255\n", "vmlinux.o: error: objtool: f+0x1: unsupported stack register modification", tree, ""},
		"certificates":        {"make[4]: *** No rule to make target 'debian/certs/all.pem', needed by 'certs/x509_certificate_list'.  Stop.\n", "make[4]: *** No rule to make target 'debian/certs/all.pem', needed by 'certs/x509_certificate_list'.  Stop.", tree, "SYSTEM_TRUSTED_KEYS"},
		"a source's words":    {"a.c:3:1: error: x\n    3 | panic(\"Out of memory, Killed process\");\n      | ^~~~ Killed\n", "a.c:3:1: error: x", tree, ""},
		"a symbol of BTF":     {"  BTFIDS  vmlinux\nFAILED unresolved symbol udp6_sock\nmake: *** [Makefile:1183: vmlinux] Error 255\n", "FAILED unresolved symbol udp6_sock", tree, "unset CONFIG_DEBUG_INFO_BTF"},
		"an old pahole":       {"  BTF     .btf.vmlinux.bin.o\nBTF: .tmp_vmlinux.btf: pahole version v1.12 is too old, need at least v1.16\nmake: *** [vmlinux] Error 1\n", "BTF: .tmp_vmlinux.btf: pahole version v1.12 is too old, need at least v1.16", tree, "CONFIG_DEBUG_INFO_BTF"},
		"DWARF of a linker":   {"Unsupported DW_TAG_unspecified_type(0x3b): type: 0x3bc1\nEncountered error while encoding BTF.\nlibbpf: failed to find '.BTF' ELF section in .tmp_vmlinux\nmake: *** [vmlinux] Error 255\n", "Encountered error while encoding BTF.", tree, "CONFIG_DEBUG_INFO_BTF"},
		"no section of BTF":   {"libbpf: failed to find '.BTF' ELF section in vmlinux\nFAILED: load BTF from vmlinux: No data available\nmake: *** [vmlinux] Error 255\n", "libbpf: failed to find '.BTF' ELF section in vmlinux", tree, "CONFIG_DEBUG_INFO_BTF"},
		"sections":            {"WARNING: modpost: vmlinux: section mismatch in reference: f+0x1 (section: .text) -> g (section: .init.text)\nERROR: modpost: Section mismatches detected.\nSet CONFIG_SECTION_MISMATCH_WARN_ONLY=y to allow them.\nmake[2]: *** [Module.symvers] Error 1\n", "ERROR: modpost: Section mismatches detected.", tree, "set CONFIG_SECTION_MISMATCH_WARN_ONLY=y"},
		"a licence":           {"ERROR: modpost: missing MODULE_LICENSE() in drivers/x/x.o\nmake[2]: *** [Module.symvers] Error 1\n", "ERROR: modpost: missing MODULE_LICENSE() in drivers/x/x.o", tree, "see the log"},
		"a namespace":         {"ERROR: modpost: module x uses symbol dax_lock from namespace DEV_DAX, but does not import it.\nmake[2]: *** [Module.symvers] Error 1\n", "ERROR: modpost: module x uses symbol dax_lock from namespace DEV_DAX, but does not import it.", tree, "see the log"},
		"an assembler's":      {"arch/x86/a.S: Assembler messages:\narch/x86/a.S:12: Error: no such instruction: `vmgexit'\narch/x86/a.S:13: Error: operand type mismatch\nmake[2]: *** [a.o] Error 1\n", "arch/x86/a.S:12: Error: no such instruction: `vmgexit'", tree, ""},
		"a linker's memory":   {"  LD      vmlinux.o\nld: final link failed: memory exhausted\nmake[1]: *** [vmlinux.o] Error 1\n", "ld: final link failed: memory exhausted", memory, ""},
		"of C++":              {"terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\nmake[1]: *** [vmlinux] Error 134\n", "terminate called after throwing an instance of 'std::bad_alloc'", memory, ""},
		"make reports Killed": {"  LD      vmlinux.o\nmake[2]: *** [scripts/Makefile.vmlinux_o:62: vmlinux.o] Killed\nmake[2]: *** Deleting file 'vmlinux.o'\n", "make[2]: *** [scripts/Makefile.vmlinux_o:62: vmlinux.o] Killed", memory, ""},
		"a shell's status":    {"  LD      vmlinux.o\nmake[2]: *** [scripts/Makefile.vmlinux_o:62: vmlinux.o] Error 137\nmake[1]: *** [vmlinux_o] Error 2\n", "make[2]: *** [scripts/Makefile.vmlinux_o:62: vmlinux.o] Error 137", memory, ""},
		"of an older make":    {"make[1]: flex: Command not found\nmake[1]: *** [scripts/kconfig/lexer.lex.c] Error 127\n", "make[1]: flex: Command not found", missing, "flex"},
		"of a script":         {"/usr/bin/env: ‘python’: No such file or directory\nmake[1]: *** [x] Error 127\n", "/usr/bin/env: ‘python’: No such file or directory", missing, "python-is-python3"},
		"a library":           {"Makefile:1050: *** \"Cannot generate ORC metadata for CONFIG_UNWINDER_ORC=y, please install libelf-dev, libelf-devel or elfutils-libelf-devel\".  Stop.\n", "Makefile:1050: *** \"Cannot generate ORC metadata for CONFIG_UNWINDER_ORC=y, please install libelf-dev, libelf-devel or elfutils-libelf-devel\".  Stop.", missing, "libelf-dev"},
		"the same, newer":     {"error: Cannot generate ORC metadata for CONFIG_UNWINDER_ORC=y, please install libelf-dev, libelf-devel or elfutils-libelf-devel\nmake[1]: *** [prepare] Error 1\n", "error: Cannot generate ORC metadata for CONFIG_UNWINDER_ORC=y, please install libelf-dev, libelf-devel or elfutils-libelf-devel", missing, "libelf-dev"},
		"a Makefile's stop":   {"arch/x86/Makefile:142: *** CONFIG_X86_X32 enabled but no binutils support.  Stop.\nmake: *** [__sub-make] Error 2\n", "arch/x86/Makefile:142: *** CONFIG_X86_X32 enabled but no binutils support.  Stop.", tree, "see the log"},
		"a file of a tree":    {"make[3]: *** No rule to make target 'drivers/x/y.o', needed by 'drivers/x/built-in.a'.  Stop.\nmake[2]: *** [drivers/x] Error 2\n", "make[3]: *** No rule to make target 'drivers/x/y.o', needed by 'drivers/x/built-in.a'.  Stop.", tree, "see the log"},
		"Kconfig":             {"drivers/x/Kconfig:7:error: recursive dependency detected!\ndrivers/x/Kconfig:7:\tsymbol X depends on Y\nmake[1]: *** [olddefconfig] Error 1\n", "drivers/x/Kconfig:7:error: recursive dependency detected!", tree, "see the log"},
		"a clock in between":  {"  GEN     a\nthe frobnicator gives up\nmake[2]: warning:  Clock skew detected.  Your build may be incomplete.\nmake[2]: *** [a] Error 255\n", "the frobnicator gives up", tree, "see the log"},
		"unknown failure":     {"  GEN     a\nthe frobnicator gives up\nmake[2]: *** [a] Error 255\n", "the frobnicator gives up", tree, "see the log"},
		"nothing at all":      {"", "", tree, ""},
		"no error in a CC":    {"  CC      error.o\n  CC      drivers/Killed.o\n", "", tree, ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(file, []byte(c.log), 0o644); err != nil {
				t.Fatal(err)
			}
			f := firstFailure(file)
			if f.line != c.line || f.blame != c.cause || !strings.Contains(f.advice+f.pkg, c.advice) || c.advice == "" && f.advice+f.pkg != "" {
				t.Errorf("got %+v, want line %q, cause %d, advice or package with %q", f, c.line, c.cause, c.advice)
			}
		})
	}
}
