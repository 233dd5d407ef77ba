package complete

import (
	"maps"
	"slices"
	"strings"
)

// Shells are those that Script knows.
func Shells() []string { return slices.Sorted(maps.Keys(scripts)) }

// Script makes a shell complete the words of program, by what program says that
// asks Words: it is called as "program complete -- LINE", and prints a word a line.
func Script(shell, program string) string {
	return strings.ReplaceAll(scripts[shell], "PROGRAM", program)
}

var scripts = map[string]string{
	// readline takes : = and @ for the ends of words (COMP_WORDBREAKS), so that of a
	// word with one it replaces the part behind it only.
	"bash": `_PROGRAM() {
  local line=${COMP_LINE:0:COMP_POINT} cur=${COMP_WORDS[COMP_CWORD]} word
  case $cur in [:=@]) cur= ;; esac
  local whole=${line##* }
  local before=${whole%"$cur"}
  COMPREPLY=()
  while IFS= read -r word; do
    COMPREPLY+=("${word#"$before"}")
  done < <(PROGRAM complete -- "$line" 2>/dev/null)
}
complete -o default -F _PROGRAM PROGRAM
`,
	"fish": `complete -c PROGRAM -a '(PROGRAM complete -- (commandline -cp) 2>/dev/null)'
`,
	"zsh": `#compdef PROGRAM
_PROGRAM() {
  local -a words
  words=("${(@f)$(PROGRAM complete -- "$LBUFFER" 2>/dev/null)}")
  if [[ -n $words ]]; then compadd -U -- $words; else _files; fi
}
compdef _PROGRAM PROGRAM
`,
}
