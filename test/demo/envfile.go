package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"vpcmirror.io/operator/test/cloudsim/scenario"
)

// variable is one line of the file env.
type variable struct{ name, value string }

// envFile is a file for `source`, in the words of every shell.
func envFile(path []string, variables []variable) string {
	var b strings.Builder
	b.WriteString("# For a shell: source this file. Written by make demo-up, removed by make demo-down.\n")
	for _, v := range variables {
		fmt.Fprintf(&b, "export %s=%s\n", v.name, quote(v.value))
	}
	quoted := make([]string, len(path))
	for i, folder := range path {
		quoted[i] = quote(folder)
	}
	fmt.Fprintf(&b, "export PATH=%s:\"$PATH\"\n", strings.Join(quoted, ":"))
	return b.String()
}

// quote makes one word of any text: nothing in single quotes means anything to a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// writeEnv writes the file that says where everything is.
func (d *demo) writeEnv() error {
	content := envFile([]string{filepath.Dir(d.kubectl), d.programs}, []variable{
		{"KUBECONFIG", d.admin},
		{"CLOUD_ENDPOINT", d.cloud.endpoint},
		{"CLOUD_REGION", scenario.WalkthroughRegion},
		{"CLOUD_PROJECT", scenario.WalkthroughProject},
		{"CLOUD_AK", scenario.WalkthroughAccessKey},
		{"CLOUD_SK", scenario.WalkthroughSecretKey},
	})
	if err := os.WriteFile(d.path("env"), []byte(content), 0o600); err != nil {
		return fmt.Errorf("writing the file env: %w", err)
	}
	return nil
}
