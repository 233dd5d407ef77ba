// Package html draws a run as one self-contained page: it needs no network and no other
// file. It writes what is recorded and concludes nothing. A guest's text is hostile:
// it is shown, and never interpreted by the browser.
package html
