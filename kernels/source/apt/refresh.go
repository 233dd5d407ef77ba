package apt

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/faultline/faultline/internal/suggest"
	"github.com/faultline/faultline/kernels"
)

// refresh fetches the lists and rebuilds the index.
func (a *aptState) refresh(ctx context.Context, opts kernels.Options) error {
	machine := a.machine.sources
	var stanzas []stanza
	for _, s := range groupSuites(a.suite) {
		found := sourceFor(s, machine)
		if len(found) == 0 && s == a.suite {
			return fmt.Errorf("find a source for suite %s: none of the machine's apt sources is Debian's %s archive; %s",
				s, map[bool]string{true: "security", false: "main"}[isSecurity(s)], advice())
		}
		stanzas = append(stanzas, found...)
	}
	opts.Logf("fetch the package lists of %s", a.suite)
	fetch := a.aptLists
	if !Installed() {
		fetch = a.httpLists
	}
	lists, err := fetch(ctx, stanzas, opts)
	if err != nil {
		return err
	}
	return a.buildIndex(ctx, lists, opts)
}

// list is a suite's list of packages, which was fetched and verified.
type list struct {
	suite, origin string
	uri           string // of the repository
	read          func(ctx context.Context, parse func(io.Reader) error) error
}

// noSuite returns the error for a suite that does not exist.
func (a *aptState) noSuite(machine []stanza) error {
	e := &kernels.SpecError{Problem: fmt.Sprintf("the archive of the machine's apt sources has no suite %q", a.suite)}
	known := append(slices.Clone(debianReleases), "bookworm-backports", "trixie-backports")
	for _, s := range machine {
		known = append(known, s.suites...)
	}
	e.Hint = "give a suite such as bookworm or trixie-backports, or write apt:SUITE/PACKAGE"
	if n := suggest.Names(a.suite, known); len(n) > 0 {
		e.Hint = "did you mean " + suggest.Quoted(n, "or") + "? " + e.Hint
	}
	return e
}

// unverified returns the error for a signature that cannot be verified.
func (a *aptState) unverified(text string) error {
	return fmt.Errorf(
		"fetch the package lists of %s: signature can't be verified with the keys of the machine's apt sources: %s; "+
			"upgrade the package debian-archive-keyring, or set Signed-By to a keyring with this suite's keys",
		a.suite,
		text,
	)
}

// unreachable returns the error for lists that cannot be fetched.
func (a *aptState) unreachable(err error) error {
	return fmt.Errorf(
		"fetch the package lists of %s: %w; check the network, the proxy and the mirror in /etc/apt, or use deb:FILE or dir:PATH",
		a.suite,
		err,
	)
}
