// Command probe is run in guests by tests.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

func main() {
	switch os.Args[1] {
	case "echo":
		fmt.Print(strings.Join(os.Args[2:], "|"))
	case "clock":
		fmt.Print(time.Now().Unix())
	case "cat":
		io.Copy(os.Stdout, os.Stdin)
	case "stderr":
		fmt.Fprintln(os.Stderr, "to stderr")
		os.Exit(7)
	case "symbol":
		all, err := os.ReadFile("/proc/kallsyms")
		if err != nil {
			panic(err)
		}
		before, _, _ := strings.Cut(string(all), " T "+os.Args[2]+"\n")
		fmt.Print(before[len(before)-16:])
	case "flags":
		memory := make([]byte, 1<<12) // of a size that Go aligns
		memory[0] = 1                 // there is a page: none is asked for in the middle
		fmt.Printf("%#x", flags(1<<14, &memory[0]))
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
		select {}
	}
}
