package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// nowhere is the server of a release that nobody publishes: by RFC 2606 it can't exist.
const nowhere = "https://vpcmirror.invalid/"

// checkPlaces refuses a registry or a server that can't be one. An empty server is allowed.
func checkPlaces(repository, server string) error {
	if _, err := name.NewTag(repository+"/manager:0.0.0", name.StrictValidation); err != nil || strings.Contains(repository, ":/") || repository == "" {
		return fmt.Errorf("REPOSITORY=%s can't be where images are: give a registry and a path, such as registry.example.com/vpcmirror", repository)
	}
	if server == "" {
		return nil
	}
	parsed, err := url.Parse(server)
	if err != nil || parsed.Scheme != "https" || parsed.Host == "" || strings.HasSuffix(server, "/") {
		return fmt.Errorf("RELEASE_URL=%s can't be where the files are: give an address such as https://example.com/releases/0.3.0, without a slash at its end", server)
	}
	return nil
}
