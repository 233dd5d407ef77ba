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
	Name      string // for the command line: "html"
	File      string // its name in a run's folder; empty if it is written on request only
	MediaType string // as in RFC 6838
	// Write writes the run. folder, which may be nil, has the files that the record names.
	Write func(w io.Writer, run results.Run, folder *results.Folder) error
}

// HTML is the report to read in a browser.
var HTML = Format{Name: "html", File: "report.html", MediaType: "text/html; charset=utf-8", Write: html.Write}

// JUnit is read by most CI systems.
var JUnit = Format{Name: "junit", File: "junit.xml", MediaType: "application/xml", Write: junit.Write}

// KTAP is the format of the kernel's own tests.
var KTAP = Format{Name: "ktap", File: "ktap.txt", MediaType: "text/plain; charset=utf-8", Write: ktap.Write}

// KCIDB is exchanged by kernel CI systems.
var KCIDB = Format{Name: "kcidb", File: "kcidb.json", MediaType: "application/json", Write: kcidb.Write}

// LAVA is what a test prints for a LAVA dispatcher.
var LAVA = Format{Name: "lava", MediaType: "text/plain; charset=utf-8", Write: lava.Write}

// Markdown is shown by GitHub and GitLab.
var Markdown = Format{
	Name:      "markdown",
	File:      "summary.md",
	MediaType: "text/markdown; charset=utf-8",
	Write:     markdown.Write,
}

// GitHub is read by GitHub's runner, which turns it into annotations.
var GitHub = Format{Name: "github", MediaType: "text/plain; charset=utf-8", Write: github.Write}

// JSON is the record itself. Its file is written before any report.
var JSON = Format{Name: "json", MediaType: "application/json", Write: results.Write}

// Formats returns all formats. Those with a file are written into every run's folder.
func Formats() []Format { return []Format{HTML, JUnit, KTAP, KCIDB, LAVA, Markdown, GitHub, JSON} }

// Names returns the names of all formats.
func Names() []string {
	var out []string
	for _, f := range Formats() {
		out = append(out, f.Name)
	}
	return out
}

// Write writes a run's reports into its folder.
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
