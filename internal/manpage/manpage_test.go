package manpage

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

type grammar struct {
	Run  runCmd   `cmd:"" help:"Do it."`
	Gone struct{} `cmd:"" hidden:"" help:"Not shown."`
	List struct {
		All struct{} `cmd:"" help:"List \"all\"."`
	} `cmd:"" help:"List."`
}

type runCmd struct {
	File   string `arg:"" help:"What to do it with."`
	Out    string `placeholder:"DIR" help:"Where.\nOr there."`
	Quick  bool   `help:"Don't wait."`
	Hidden bool   `hidden:""`
}

func (runCmd) Help() string {
	return ".TH of what it does,\n'and more: C:\\temp.\n\nExamples:\n  prog run x   # it's done\n  prog run --quick x"
}

func write(t *testing.T) string {
	t.Helper()
	parser, err := kong.New(&grammar{}, kong.Name("prog"), kong.Description("Does things.\n\nMany."))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Write(&b, parser.Model, "v1", Section{"EXIT STATUS", "  0   well\n\nElse not."}); err != nil {
		t.Fatal(err)
	}
	if err := Write(broken{}, parser.Model, "v1"); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want errBroken", err)
	}
	return b.String()
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestWrite(t *testing.T) {
	page := write(t)
	for _, want := range []string{
		".TH \"PROG\" \"1\" \"\" \"prog v1\"\n", ".SH \"NAME\"\nprog \\- Does things.\n", ".SH \"DESCRIPTION\"\nMany.\n",
		".SS \"prog run <file> [flags]\"\nDo it.\n.PP\n\\&.TH of what it does,\n\\(aqand more: C:\\etemp.\n.PP\nExamples:\n.nf\n  prog run x   # it\\(aqs done\n  prog run \\-\\-quick x\n.fi\n",
		".TP\n.B \"<file>\"\nWhat to do it with.\n", ".B \"\\-\\-out=DIR\"\nWhere.\nOr there.\n", ".B \"\\-\\-quick\"\nDon\\(aqt wait.\n",
		".SS \"prog list all\"\nList \"all\".\n", ".SH \"EXIT STATUS\"\n.nf\n  0   well\n.fi\n.PP\nElse not.\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in:\n%s", want, page)
		}
	}
	if strings.Contains(strings.ToLower(page), "hidden") || strings.Contains(page, "Not shown") {
		t.Errorf("got %s, want it without what is hidden", page)
	}
}

// groff formats the page without warnings.
func TestGroff(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("no groff here")
	}
	cmd := exec.Command(groff, "-man", "-ww", "-Tascii", "-P-c")
	cmd.Stdin = strings.NewReader(write(t))
	var said, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &wrong
	if err := cmd.Run(); err != nil || wrong.Len() > 0 {
		t.Fatalf("got error %v, %s; want neither an error nor a warning", err, wrong.String())
	}
	for _, want := range []string{".TH of what it does, 'and more: C:\\temp.", "prog run --quick x", "# it's done"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("no %q in:\n%s", want, said.String())
		}
	}
}
