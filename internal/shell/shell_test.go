package shell

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestQuote(t *testing.T) {
	for _, words := range [][]string{
		{"qemu", "-append", "a b=c faultline.key=x/+=="},
		{"", "it's", `"$HOME"`, "`id`", `\`, "a\nb", "*", "~", "#x", "!x", "{a,b}", "a;b", "ä", "x=y", "-", "memmap=64M!256M"},
		{"'", "''", `'\''`},
	} {
		out, err := exec.Command("sh", "-c", `for w in `+Quote(words)+`; do printf '%s\0' "$w"; done`).Output()
		if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); err != nil || !slices.Equal(got, words) {
			t.Errorf("a shell reads %q of %s (%v)", got, Quote(words), err)
		}
	}
	if plain := []string{"/usr/bin/qemu-system-x86_64", "-m", "512M,slots=5", "tcp:127.0.0.1:0"}; Quote(plain) != strings.Join(plain, " ") {
		t.Errorf("%s is quoted without need", Quote(plain))
	}
}
