package complete

import (
	"maps"
	"slices"
	"strings"
)

// Shells returns the shells that Script supports.
func Shells() []string { return slices.Sorted(maps.Keys(scripts)) }

// Script returns the completion script of a program for a shell. It runs "program
// complete -- LINE", which prints the result of Words, one word per line.
func Script(shell, program string) string {
	return strings.ReplaceAll(scripts[shell], "PROGRAM", program)
}

var scripts = map[string]string{
	// readline ends words at : = and @ (COMP_WORDBREAKS), so it replaces only the part
	// of a word after the last of them.
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
