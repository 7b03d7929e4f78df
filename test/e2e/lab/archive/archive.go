// Package archive writes and reads image archives, the tar files that `docker save`
// makes, for images of one program: no image builder and no registry is needed.
//
// It may import nothing of ours.
package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

// Image is what to write.
type Image struct {
	// Name is the image's name with a tag, such as localhost/pause:1.
	Name string
	// Program is the path of a static program, the only file of the image.
	Program string
	// User is who runs it, such as 65532:65532; empty means root.
	User string
}

// maxManifest bounds what Names reads.
const maxManifest = 1 << 20

// entry is one image of an archive's manifest.json.
type entry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Write makes the archive. The same program gives the same bytes.
func Write(path string, image Image) error {
	program, err := os.ReadFile(image.Program)
	if err != nil {
		return fmt.Errorf("read the program of image %s: %w", image.Name, err)
	}
	layer, err := pack([]file{{"program", 0o755, program}})
	if err != nil {
		return fmt.Errorf("pack the layer of image %s: %w", image.Name, err)
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Entrypoint": []string{"/program"}, "User": image.User, "WorkingDir": "/"},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
	})
	if err != nil {
		return fmt.Errorf("encode the configuration of image %s: %w", image.Name, err)
	}
	names := entry{Config: digest(config) + ".json", RepoTags: []string{image.Name}, Layers: []string{digest(layer) + ".tar"}}
	manifest, err := json.Marshal([]entry{names})
	if err != nil {
		return fmt.Errorf("encode the manifest of image %s: %w", image.Name, err)
	}
	content, err := pack([]file{{names.Layers[0], 0o644, layer}, {names.Config, 0o644, config}, {"manifest.json", 0o644, manifest}})
	if err != nil {
		return fmt.Errorf("pack image %s: %w", image.Name, err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return fmt.Errorf("write image %s: %w", image.Name, err)
	}
	return nil
}

// Names returns the names of the images in an archive.
func Names(path string) ([]string, error) {
	source, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the image archive: %w", err)
	}
	defer source.Close()
	for archive := tar.NewReader(source); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s has no manifest.json: it is no image archive, make one with `docker save` or a builder's docker-archive", path)
		}
		if err != nil {
			return nil, fmt.Errorf("read the image archive %s: %w", path, err)
		}
		if header.Name != "manifest.json" {
			continue
		}
		var images []entry
		if err := json.NewDecoder(io.LimitReader(archive, maxManifest)).Decode(&images); err != nil {
			return nil, fmt.Errorf("read manifest.json of the image archive %s: %w", path, err)
		}
		var names []string
		for _, image := range images {
			names = append(names, image.RepoTags...)
		}
		return names, nil
	}
}

type file struct {
	name    string
	mode    int64
	content []byte
}

func pack(files []file) ([]byte, error) {
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.content)), Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
