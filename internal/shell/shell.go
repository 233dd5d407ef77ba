// Package shell quotes commands for any POSIX shell. It does not parse them.
//
// It exists because mvdan.cc/sh rejects a newline unless the shell is bash.
package shell

import "strings"

// Quote joins a command and its arguments, quoted so that a shell parses them unchanged.
func Quote(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if w != "" && strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%") == "" {
			quoted[i] = w
			continue
		}
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}
