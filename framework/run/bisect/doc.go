// Package bisect finds the commit that changed what user space observes. It uses git
// bisect in private repositories, and judges a commit by building its kernel and
// observing scenarios on it. A commit is old or new only if it shows the same as that
// end.
package bisect
