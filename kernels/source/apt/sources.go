package apt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/arch"
)

// stanza is one source of packages as in sources.list(5), in deb822 form; one-line
// entries are converted to it.
type stanza struct {
	uris, suites []string
	// fields are the others, such as Signed-By, in their original form
	// (lines after the first begin with a space).
	fields []field
}

type field struct{ name, value string }

// parseDeb822 parses a .sources file. Stanzas that are disabled, have no packages
// for amd64 or do not include the component main are skipped.
func parseDeb822(text string) []stanza {
	var all []stanza
	for _, fields := range parseControl(text) {
		s := stanza{}
		ok, isDeb, isMain := true, false, false
		for _, f := range fields {
			words := strings.Fields(f.value)
			switch strings.ToLower(f.name) {
			case "types":
				isDeb = slices.Contains(words, "deb")
			case "uris":
				s.uris = words
			case "suites":
				s.suites = words
			case "components":
				isMain = slices.Contains(words, "main")
			case "enabled":
				v := strings.ToLower(f.value)
				ok = ok && v != "no" && v != "false" && v != "0"
			case "architectures":
				ok = ok && slices.Contains(words, arch.AMD64.Debian)
			case "languages", "targets", "pdiffs":
			default:
				s.fields = append(s.fields, f)
			}
		}
		if ok && isDeb && isMain && len(s.uris) > 0 && len(s.suites) > 0 {
			all = append(all, s)
		}
	}
	return all
}

// parseControl parses paragraphs of fields (deb822(5)). Callers select the fields they
// know; a line that is not a field is skipped, as in apt.
func parseControl(text string) [][]field {
	var all [][]field
	var p []field
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case line == "":
			if p != nil {
				all, p = append(all, p), nil
			}
		case line[0] == '#':
		case line[0] == ' ' || line[0] == '\t':
			if len(p) > 0 {
				p[len(p)-1].value += "\n" + line
			}
		default:
			if name, value, ok := strings.Cut(line, ":"); ok {
				p = append(p, field{name, strings.TrimSpace(value)})
			}
		}
	}
	if p != nil {
		all = append(all, p)
	}
	return all
}

// parseOneLine parses a sources.list file: "deb [option=value ...] uri suite
// component...".
func parseOneLine(text string) []stanza {
	var all []stanza
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb")
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '\t' {
			continue
		}
		rest = strings.TrimSpace(rest)
		s := stanza{}
		amd64 := true
		if strings.HasPrefix(rest, "[") {
			options, after, ok := strings.Cut(rest[1:], "]")
			if !ok {
				continue
			}
			rest = after
			for o := range strings.FieldsSeq(options) {
				name, value, _ := strings.Cut(o, "=")
				value = strings.ReplaceAll(value, ",", " ")
				switch strings.TrimRight(strings.ToLower(name), "+-") {
				case "arch":
					amd64 = slices.Contains(strings.Fields(value), arch.AMD64.Debian)
				case "lang", "target", "pdiffs", "by-hash":
				default:
					s.fields = append(s.fields, field{name, value})
				}
			}
		}
		f := strings.Fields(rest)
		if !amd64 || len(f) < 3 || !slices.Contains(f[2:], "main") {
			continue
		}
		s.uris, s.suites = f[:1], f[1:2]
		all = append(all, s)
	}
	return all
}

// isDebianSuite reports whether a name can be that of a suite of Debian's own:
// a single word, or one with a suffix that Debian uses.
func isDebianSuite(suite string) bool {
	base := baseSuite(suite)
	return base != "" && !strings.ContainsAny(base, "-/.") && base != "nodistro"
}

var suiteSuffixes = []string{
	"-security",
	"/updates",
	"-updates",
	"-proposed-updates",
	"-backports-sloppy",
	"-backports",
}

// baseSuite returns the release that a suite belongs to: bookworm for bookworm-security.
func baseSuite(suite string) string {
	for _, s := range suiteSuffixes {
		if b, ok := strings.CutSuffix(suite, s); ok {
			return b
		}
	}
	return suite
}

func isSecurity(suite string) bool {
	return strings.HasSuffix(suite, "-security") || strings.HasSuffix(suite, "/updates")
}

// debianSources selects the machine's sources that may be Debian or Ubuntu itself: by the
// suite's name, and by the keys, if given. The Release files show whether they are, once
// they have been fetched.
func debianSources(all []stanza) []stanza {
	var out []stanza
	for _, s := range all {
		foreign := false
		for _, f := range s.fields {
			if strings.EqualFold(f.name, "Signed-By") && strings.HasPrefix(f.value, "/") {
				foreign = !strings.Contains(f.value, "debian-archive") && !strings.Contains(f.value, ubuntuKeys)
			}
		}
		s.suites = slices.DeleteFunc(slices.Clone(s.suites), func(n string) bool { return !isDebianSuite(n) })
		s.uris = slices.DeleteFunc(slices.Clone(s.uris), func(u string) bool { return strings.HasPrefix(u, "cdrom:") })
		if !foreign && len(s.suites) > 0 && len(s.uris) > 0 {
			out = append(out, s)
		}
	}
	return out
}

const ubuntuKeys = "ubuntu-archive"

// ubuntu reports whether a source is Ubuntu's: by its keys, or by the folder that Ubuntu's
// mirrors have.
func (s stanza) ubuntu() bool {
	for _, f := range s.fields {
		if strings.EqualFold(f.name, "Signed-By") && strings.Contains(f.value, ubuntuKeys) {
			return true
		}
	}
	return slices.ContainsFunc(
		s.uris,
		func(u string) bool { return strings.HasSuffix(strings.TrimRight(u, "/"), "/ubuntu") },
	)
}

// debianReleases are names of Debian's suites, which an Ubuntu archive does not have.
var debianReleases = []string{
	"bullseye", "bookworm", "trixie", "forky", "sid", "experimental", "oldstable", "stable", "testing", "unstable",
}

// groupSuites returns the suites for a name: a release with its security updates and
// other updates; any other name only itself.
func groupSuites(suite string) []string {
	switch {
	case baseSuite(suite) != suite, suite == "sid", suite == "unstable", suite == "experimental", suite == "rc-buggy":
		return []string{suite}
	}
	return []string{suite, suite + "-security", suite + "-updates"}
}

// sourceFor returns the sources for a suite: the machine's sources of it, else its
// sources of another suite of the same kind (security or not).
func sourceFor(suite string, machine []stanza) []stanza {
	var same, kind []stanza
	isDebian := slices.Contains(debianReleases, baseSuite(suite))
	for _, s := range machine {
		if isDebian && s.ubuntu() {
			continue
		}
		one := stanza{uris: s.uris, suites: []string{suite}, fields: s.fields}
		if slices.Contains(s.suites, suite) {
			same = append(same, one)
		}
		if len(kind) == 0 &&
			slices.ContainsFunc(s.suites, func(n string) bool { return isSecurity(n) == isSecurity(suite) }) {
			kind = append(kind, one)
		}
	}
	if same != nil {
		return same
	}
	return kind
}

// formatSources formats stanzas as a .sources file.
func formatSources(all []stanza) string {
	var b strings.Builder
	for _, s := range all {
		fmt.Fprintf(&b, "Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nArchitectures: %s\n",
			strings.Join(s.uris, " "), strings.Join(s.suites, " "), arch.AMD64.Debian)
		for _, f := range s.fields {
			fmt.Fprintf(&b, "%s: %s\n", f.name, f.value)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// suitesOf returns the suites to search if the spec has no suite.
func suitesOf(machine []stanza) []string {
	var out []string
	for _, s := range machine {
		for _, suite := range s.suites {
			if isSecurity(suite) || strings.HasSuffix(suite, "-updates") && !strings.HasSuffix(suite, "-proposed-updates") {
				suite = baseSuite(suite)
			}
			if !slices.Contains(out, suite) {
				out = append(out, suite)
			}
		}
	}
	return out
}
