package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// signatureNamespace is what a signature is for, as OpenSSH has it: one for a file is good
// for no log-in and no commit.
const signatureNamespace = "file"

// sign signs a file with a key of SSH: FILE.sig is beside it then. OpenSSH is on every
// machine, of who signs and of who verifies, and takes keys from an agent or a token too;
// with an Ed25519 key the signature of the same bytes is the same.
func sign(ctx context.Context, file, key string) error {
	folder, name := filepath.Split(file)
	if _, err := output(ctx, folder, nil, "ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", signatureNamespace, name); err != nil {
		return fmt.Errorf("sign with SIGNING_KEY=%s: %w", key, err)
	}
	return nil
}
