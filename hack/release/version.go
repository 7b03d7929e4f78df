package main

import (
	"errors"
	"fmt"

	"github.com/blang/semver/v4"
)

// checkVersion refuses what can't be the version of chart, images and plugin at once.
func checkVersion(version string) error {
	if version == "" {
		return errors.New("VERSION is missing: say which release it is, such as make release VERSION=0.3.0")
	}
	parsed, err := semver.Parse(version)
	if err != nil {
		return fmt.Errorf("VERSION=%s is no semantic version: give one such as 0.3.0 or 0.3.0-rc.1, without a v before it", version)
	}
	if len(parsed.Build) > 0 {
		return fmt.Errorf("VERSION=%s has build metadata, which no image's tag can hold: leave out the + and what follows it", version)
	}
	return nil
}
