// Package html draws a run as one page that needs nothing else to be read: no
// network, no other file. It draws what is recorded and concludes nothing. What a
// guest said is hostile text: shown, and never interpreted by a browser.
package html
