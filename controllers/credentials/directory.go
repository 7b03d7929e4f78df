package credentials

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"vpcmirror.io/operator/controllers/cloud"
)

// Directory are credentials in files, one for each key, as the kubelet mounts a Secret. They are read whenever they are
// needed: so small a read costs less than to watch, and never misses a change.
type Directory struct{ Path string }

const (
	// maxValue bounds one file: a Secret is not larger.
	maxValue = 1 << 20
	// readAttempts is how often is read anew what was exchanged meanwhile.
	readAttempts = 5
	// generation is the link by which the kubelet exchanges all files at once.
	generation = "..data"
)

// Current reads them. All files are of one generation: a key never comes with the secret of the one before.
func (d Directory) Current(context.Context) (cloud.Credentials, error) {
	origin := "the directory " + d.Path
	data, err := d.read()
	if err != nil {
		return cloud.Credentials{}, &Error{Reason: NotFound, Cause: err, Message: fmt.Sprintf(
			"the operator's own credentials in %s can't be read: %s; mount a Secret there with the keys %s and %s", origin, plainly(err), KeyAccessKey, KeySecretKey)}
	}
	return parse(data, origin)
}

var errExchanged = errors.New("its files change all the time")

// read gives all files of one generation.
func (d Directory) read() (map[string][]byte, error) {
	err := errExchanged
	for range readAttempts {
		var data map[string][]byte
		before, failed := d.generation()
		if failed != nil {
			return nil, failed
		}
		data, err = readAll(before)
		after, failed := d.generation()
		if failed != nil {
			return nil, failed
		}
		if before == after && err == nil {
			return data, nil
		}
		if before == after {
			return nil, err
		}
		err = errExchanged
	}
	return nil, err
}

// generation is the folder that the files are in now: that to which the kubelet's link leads, or the directory itself.
func (d Directory) generation() (string, error) {
	target, err := filepath.EvalSymlinks(filepath.Join(d.Path, generation))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(d.Path); err != nil {
			return "", err
		}
		return d.Path, nil
	}
	return target, err
}

func readAll(folder string) (map[string][]byte, error) {
	data := map[string][]byte{}
	for _, key := range keys {
		value, err := readFile(filepath.Join(folder, key))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		data[key] = value
	}
	if _, err := os.Stat(folder); err != nil { // it went while it was read
		return nil, err
	}
	return data, nil
}

func readFile(path string) (value []byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if value, err = io.ReadAll(io.LimitReader(file, maxValue+1)); err != nil {
		return nil, err
	}
	if len(value) > maxValue {
		return nil, fmt.Errorf("%s is larger than %d bytes", filepath.Base(path), maxValue)
	}
	return value, nil
}

// plainly is an error of the file system without the path of a generation, which is another each time.
func plainly(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}
