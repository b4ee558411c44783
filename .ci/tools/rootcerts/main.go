// Command rootcerts prints Mozilla's root certificates, as the Go project publishes them, in PEM: the bundle of adfbot's container
// image. The module's version fixes them, so that two builds of a release are equal on any machine.
package main

import (
	"bufio"
	"encoding/pem"
	"fmt"
	"os"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	for root := range bundle.Roots() {
		if err := pem.Encode(out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			fmt.Fprintln(os.Stderr, "rootcerts: write the certificates:", err)
			os.Exit(1)
		}
	}
	if err := out.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "rootcerts: write the certificates:", err)
		os.Exit(1)
	}
}
