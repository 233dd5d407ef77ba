package report

import (
	"bytes"
	"fmt"
	"io"

	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/github"
	"github.com/faultline/faultline/framework/report/html"
	"github.com/faultline/faultline/framework/report/junit"
	"github.com/faultline/faultline/framework/report/kcidb"
	"github.com/faultline/faultline/framework/report/ktap"
	"github.com/faultline/faultline/framework/report/lava"
	"github.com/faultline/faultline/framework/report/markdown"
)

// Format is a way to write a run's record.
type Format struct {
	Name      string // by which it is asked for: "html"
	File      string // its name in a run's folder; empty for one that is left nowhere unasked
	MediaType string // as in RFC 6838
	// Write writes the run. folder, which may be nil, has what the record names.
	Write func(w io.Writer, run results.Run, folder *results.Folder) error
}

// HTML is the page that a person reads.
var HTML = Format{Name: "html", File: "report.html", MediaType: "text/html; charset=utf-8", Write: html.Write}

// JUnit is what most CI systems read.
var JUnit = Format{Name: "junit", File: "junit.xml", MediaType: "application/xml", Write: junit.Write}

// KTAP is what the kernel's own tests print.
var KTAP = Format{Name: "ktap", File: "ktap.txt", MediaType: "text/plain; charset=utf-8", Write: ktap.Write}

// KCIDB is what kernel CI systems exchange.
var KCIDB = Format{Name: "kcidb", File: "kcidb.json", MediaType: "application/json", Write: kcidb.Write}

// LAVA is what a test prints for a dispatcher to read.
var LAVA = Format{Name: "lava", MediaType: "text/plain; charset=utf-8", Write: lava.Write}

// Markdown is what GitHub and GitLab show.
var Markdown = Format{Name: "markdown", File: "summary.md", MediaType: "text/markdown; charset=utf-8", Write: markdown.Write}

// GitHub is what its runner makes annotations of.
var GitHub = Format{Name: "github", MediaType: "text/plain; charset=utf-8", Write: github.Write}

// JSON is the record itself. Its file is there before any report.
var JSON = Format{Name: "json", MediaType: "application/json", Write: results.Write}

// Formats are all there are; each with a file is written into the folder of every run.
func Formats() []Format { return []Format{HTML, JUnit, KTAP, KCIDB, LAVA, Markdown, GitHub, JSON} }

// Names are the names of all formats.
func Names() []string {
	var out []string
	for _, f := range Formats() {
		out = append(out, f.Name)
	}
	return out
}

// Write puts a run's reports into its folder.
func Write(run results.Run, folder *results.Folder) error {
	for _, f := range Formats() {
		if f.File == "" {
			continue
		}
		var b bytes.Buffer
		if err := f.Write(&b, run, folder); err != nil {
			return fmt.Errorf("report as %s: %w", f.Name, err)
		}
		if err := folder.Put(f.File, b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}
