package fake

// Tree returns the files of a source tree, by path, that supports a kernel's make
// commands. The file "image" contains the path of a vmlinux outside of the tree, which
// the build copies. If "config" exists beside that vmlinux, every configuration becomes
// that one; lib/modules beside it are the modules, and bzImage is the bzImage. So with the
// image of a kernels.Kernel, the tree builds that kernel. Each src/*.c is compiled, and
// depends on all src/*.h. A file "error" makes the compiler fail with its text. Kconfig
// drops the symbols that the lines of a file "drops" name.
//
// In the object folder, "builds" has a line for each build of main.o, "configured" one
// for each call of Kconfig, and "compiled" the name of each other object that was built.
func Tree(image string) map[string]string {
	return map[string]string{
		"Makefile":         makefile,
		"Kconfig":          "mainmenu \"fake\"\n",
		"arch/x86/Kconfig": "# fake\n",
		"image":            image,
	}
}

// Modules are hard links if possible: those of a distribution are hundreds of megabytes.
const makefile = `VERSION = 6
PATCHLEVEL = 1
SUBLEVEL = 5
EXTRAVERSION =
S := $(CURDIR)
F = $(O)/$(or $(KCONFIG_CONFIG),.config)
K := $(dir $(shell cat $(CURDIR)/image))
C := $(wildcard $S/src/*.c)
H := $(wildcard $S/src/*.h)

tinyconfig:
	@echo 'CONFIG_TINY=y' > $F
olddefconfig:
	@echo asked >> $(O)/configured
	@test ! -e $K/config || cp $K/config $F
	@test ! -e $S/drops || grep -v -w -F -f $S/drops $F > $F.kept
	@test ! -e $S/drops || mv $F.kept $F
prepare:
	@:
vmlinux: $(O)/vmlinux
	@:
bzImage: $(O)/arch/x86/boot/bzImage
	@:
$(O)/arch/x86/boot/bzImage: $(O)/vmlinux
	@mkdir -p $(dir $@)
	@cp $K/bzImage $@
$(O)/vmlinux: $(O)/main.o $(patsubst $S/src/%.c,$(O)/src/%.o,$C)
	@echo '  LD      vmlinux'
	@cp "$$(cat $S/image)" $@
$(O)/main.o: $S/image $(wildcard $S/error) $(O)/.config
	@echo '  CC      init/main.o'
	@echo built >> $(O)/builds
	@test ! -e $S/error || { cat $S/error >&2; false; }
	@touch $@
$(O)/src/%.o: $S/src/%.c $H
	@echo '  CC      src/$*.o'
	@mkdir -p $(O)/src
	@printf '%s\n' 'cmd_src/$*.o := cc' '' 'source_src/$*.o := $<' '' 'deps_src/$*.o := \' $(patsubst %,'  % \',$H) '' 'src/$*.o: $$(deps_src/$*.o)' > $(O)/src/.$*.o.cmd
	@echo src/$*.o >> $(O)/compiled
	@touch $@
modules:
	@:
modules_install:
	@mkdir -p $(INSTALL_MOD_PATH)/lib
	@cp -rl $K/lib/modules $(INSTALL_MOD_PATH)/lib/ || cp -r $K/lib/modules $(INSTALL_MOD_PATH)/lib/
.PHONY: tinyconfig olddefconfig prepare vmlinux bzImage modules modules_install
`
