// Command probe is the only program of the image that the node tests run in pods: a file server and two clients.
//
//	probe serve ADDRESS FOLDER   serve the files of FOLDER over HTTP
//	probe get URL                print what the URL answers; exit 1 unless it is 200
//	probe lookup NAME            print the addresses of NAME, one a line
//	probe read FILE              print a file
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 3 && arguments[0] == "serve" {
		return http.ListenAndServe(arguments[1], http.FileServer(http.Dir(arguments[2])))
	}
	if len(arguments) != 2 {
		return fmt.Errorf("expected: serve ADDRESS FOLDER | get URL | lookup NAME | read FILE; got %q", arguments)
	}
	switch command, subject := arguments[0], arguments[1]; command {
	case "get":
		return get(subject)
	case "lookup":
		addresses, err := net.LookupHost(subject)
		for _, address := range addresses {
			fmt.Println(address)
		}
		return err
	case "read":
		content, err := os.ReadFile(subject)
		_, _ = os.Stdout.Write(content)
		return err
	default:
		return fmt.Errorf("unknown command %q", command)
	}
}

func get(url string) error {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return nil
}
