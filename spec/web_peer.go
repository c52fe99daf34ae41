// SPDX-License-Identifier: MIT
// Go's net/http, for spec/web_peers_spec.lua: answers every request with its method, path and the size of its body.
// Prints its port.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	log.SetOutput(io.Discard)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(400)
			return
		}
		fmt.Fprintf(w, "%s %s %d", r.Method, r.URL.Path, len(body))
	})
	server := http.Server{Handler: handler, MaxHeaderBytes: 4096}
	log.Fatal(server.Serve(listener))
}
