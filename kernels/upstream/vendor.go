package upstream

import (
	"regexp"
	"strings"
)

// kernelOrg is the vendor of mainline and stable kernels.
const kernelOrg = "kernel.org"

// vendor describes the names of one vendor's kernels. testdata/names.txt has examples of
// each row.
type vendor struct {
	name string
	// form matches what follows the version in uname -r. Its groups: dist, which with the
	// vendor's name and the release determines the line; build, numbers that order kernels
	// of one line and version; rc, the candidate's number.
	form string
	// whole means that a kernel with version X.Y.Z has all of the stable update X.Y.Z. It is
	// false for vendors that pick from an update or revert parts of it.
	whole bool
	// early means that a kernel made from a candidate of X.Y has the same form of name as
	// one made from X.Y.
	early bool
	// candidate means that the kernels are made from candidates, or from linux-next.
	candidate bool
	// unordered means that no kernel continues another.
	unordered bool
}

// Parts of forms.
const (
	rpmArch = `(?:\.[a-z]\w*)?(?:\+[\w-]+)?`
	dotted  = `\d+(?:\.\d+)*`
	debian  = `(?:cloud-|rt-)*(?:amd64|arm64|arm64-16k|armmp|armmp-lpae|686|686-pae|loong64|` +
		`ppc64el|powerpc64le|riscv64|s390x|mips64el|\dkc-malta)(?:-unsigned)?`
	suse   = `-(?P<flavour>default|azure|rt|64kb|preempt|debug|kvmsmall)`
	ubuntu = `generic|generic-64k|generic-lpae|lowlatency|lowlatency-64k|laptop|realtime|oem|` +
		`aws|aws-64k|azure|azure-fde|azure-nvidia|gcp|gcp-64k|gke|gkeop|ibm|intel|intel-iotg|kvm|` +
		`oracle|oracle-64k|nvidia|nvidia-64k|nvidia-tegra|raspi|xilinx|xilinx-zynqmp|starfive`
)

// The first row that matches applies.
var vendors = compile([]vendor{
	{name: kernelOrg, form: ``, whole: true},
	{name: "linux-next", form: `-next-\d{8}(?:[-+].*)?`, candidate: true, unordered: true},
	// -0.rcN is used by Fedora rawhide and by ELN, from which RHEL is made.
	{name: "Fedora", form: `-0\.rc(?P<rc>\d+)\..*`, candidate: true, unordered: true},
	{name: "Fedora", form: `-\d+\.fc(?P<dist>\d+)` + rpmArch, whole: true},
	{name: "UEK", form: `-(?P<build>` + dotted + `)\.el(?P<dist>\d+)uek` + rpmArch},
	{name: "ELRepo", form: `-(?P<build>\d+)\.el(?P<dist>\d+)\.elrepo` + rpmArch, whole: true},
	// RHEL, CentOS Stream, Rocky, Alma and Oracle's RHCK use the same names.
	{name: "RHEL rt", form: `-(?P<build>` + dotted + `)\.rt\d+\.\d+\.el(?P<dist>\d+)(?:_\d+)?` + rpmArch},
	{name: "RHEL", form: `-(?P<build>` + dotted + `)\.el(?P<dist>\d+)(?:_\d+)?` + rpmArch},
	// SLE and Leap: 150600 is 15 SP6. SLE 12 and the first of 15 have two or three digits.
	{name: "SLE", form: `-(?P<dist>\d{6})\.(?P<build>` + dotted + `)` + suse},
	{name: "SLE", form: `-(?P<dist>\d{2,3})\.(?P<build>` + dotted + `)` + suse},
	{name: "openSUSE", form: `-\d+(?:\.g[0-9a-f]+)?-(?:default|longterm|vanilla)`, whole: true}, // Tumbleweed
	// 060600rc5, in Ubuntu's builds of mainline kernels.
	{name: "Ubuntu mainline", form: `-0\d{5}rc(?P<rc>\d+)(?:daily\d+)?-(?:generic|lowlatency).*`,
		candidate: true, unordered: true},
	{name: "Ubuntu mainline", form: `-0\d{5}-(?:generic|lowlatency)`, whole: true},
	// GA and HWE, and those for clouds. Ubuntu 6.8.0-11 was made from 6.8-rc4, and
	// 6.8.0-44 from 6.8.12: the name has no patch level.
	{name: "Ubuntu", form: `-(?P<build>\d{1,4})-(?P<flavour>(?:` + ubuntu + `)(?:-fips)?)`, early: true},
	{name: "Proxmox", form: `-(?P<build>\d+)-pve`, early: true},
	{name: "Amazon", form: `-` + dotted + `\.amzn(?P<dist>\d+)` + rpmArch, whole: true},
	{name: "Azure Linux", form: `\.\d+-(?P<build>\d+)\.(?:azl|cm)(?P<dist>\d+)` + rpmArch, whole: true},
	{name: "WSL", form: `(?:\.\d+)?-microsoft-standard(?:-WSL2)?`, whole: true},
	// Android's branches revert changes that break the module ABI.
	{name: "Android", form: `-android(?P<dist>\d+)(?:-.*)?`},
	{name: "openEuler", form: `-(?P<build>` + dotted + `)\.oe(?P<dist>\d+(?:sp\d+)?)` + rpmArch},
	{name: "Anolis", form: `-(?P<build>` + dotted + `)\.an(?P<dist>\d+)` + rpmArch},
	{name: "Raspberry Pi", form: `\+rpt-rpi-\w+(?:-\w+)?|-v[678]l?\+`, whole: true},
	{name: "Arch", form: `-arch\d+-\d+`, whole: true},
	{name: "Arch lts", form: `-[1-9]\d*-lts`, whole: true},
	{name: "Alpine", form: `-0-(?:lts|virt)`, whole: true},
	{name: "Gentoo", form: `-gentoo(?:-r\d+)?(?:-(?:dist|x86_64))?`, whole: true},
	// 0 and trunk are used in experimental, which has candidates.
	{name: "Debian experimental", form: `-(?:0|trunk)-` + debian, whole: true, early: true, unordered: true},
	{name: "Debian", form: `-(?:0\.(?:bpo|deb\d+)\.)?(?P<build>\d+)-` + debian, whole: true},
	{name: "Debian", form: `(?:\+(?:deb\d+(?:\+\d+)?|bpo))?-` + debian, whole: true},
	// git describe of a tree (scripts/setlocalversion).
	{name: "local", form: `.*-\d{5}-g[0-9a-f]{7,}.*`, whole: true, unordered: true},
	// Names like RHEL's or Ubuntu's, of a vendor without a row: it is unknown whether the
	// vendor takes updates whole, or builds candidates.
	{name: "another rpm", form: `-\d[\w.]*\.[a-z]{2,}\d+\w*` + rpmArch, unordered: true},
	{name: "another deb", form: `-\d[\d.]*(?:\.g[0-9a-f]+|daily\d+)?-[a-z]{2}[a-z0-9-]*`, early: true, unordered: true},
	// Builds from a tree: 6.1.192+, -dirty, -g1ea7ca1b0901, CONFIG_LOCALVERSION; and
	// Container-Optimized OS, whose kernels have names like 6.6.105+.
	{name: "local", form: `.*`, whole: true, unordered: true},
})

// named is a row, and the values of its form's groups in a kernel's name.
type named struct {
	vendor
	build []int
	rc    int
}

type row struct {
	vendor
	line *regexp.Regexp
}

// reHead matches the version at the start of a name.
var reHead = `^v?\d+\.\d+(?:\.\d+)?(?:[-~]rc\d+)?`

func compile(vendors []vendor) (rows []row) {
	for _, v := range vendors {
		rows = append(rows, row{v, regexp.MustCompile(reHead + `(?:` + v.form + `)$`)})
	}
	return rows
}

// vendorOf returns the row for a kernel's name. ok is false for a name that does not
// start with a version.
func vendorOf(name string) (_ named, ok bool) {
	for _, r := range vendors {
		m := r.line.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		v := named{vendor: r.vendor}
		for i, group := range r.line.SubexpNames() {
			switch {
			case m[i] == "":
			case group == "dist", group == "flavour":
				v.name += " " + m[i]
			case group == "rc":
				v.rc = max(number(m[i]), 1) // rc0: what was merged before the first
			case group == "build":
				for _, n := range strings.Split(m[i], ".") {
					v.build = append(v.build, number(n))
				}
			}
		}
		if v.unordered {
			v.name = ""
		}
		return v, true
	}
	return named{}, false
}
