package main

import "fmt"

type helloCmd struct{}

func (helloCmd) Run() error {
	fmt.Println("hello")
	return nil
}
