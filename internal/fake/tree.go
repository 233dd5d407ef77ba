package fake

// Tree is a source that a kernel's make commands work on, by path. It compiles
// the file "image" of the tree, named by its content: a vmlinux elsewhere, which it
// copies; and each src/*.c, which all use each src/*.h. A file "config" beside that
// vmlinux is what the tree's Kconfig makes of whatever is asked for, and lib/modules
// beside it are its modules, and bzImage its bzImage: with the image of a kernels.Kernel, a tree builds that
// kernel. Where the tree has a file "error", its text is what the compiler says. A
// symbol that a line of the file "drops" names is not taken by its Kconfig.
//
// In the objects, "builds" has a line for each time that main.o was made, "configured"
// one for each that Kconfig was asked, and "compiled" the name of each other object that
// was made.
func Tree(image string) map[string]string {
	return map[string]string{
		"Makefile":         makefile,
		"Kconfig":          "mainmenu \"fake\"\n",
		"arch/x86/Kconfig": "# fake\n",
		"image":            image,
	}
}

// Modules are linked where they can be: a distribution's are hundreds of megabytes.
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
