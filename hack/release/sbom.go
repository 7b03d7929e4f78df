package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// billOfMaterials is what is linked into a program, as CycloneDX JSON: the generator reads
// it from the program itself.
func (r release) billOfMaterials(ctx context.Context, file string) ([]byte, error) {
	generator := filepath.Join(r.tools, "cyclonedx-gomod")
	said, err := output(ctx, r.root, nil, generator, "bin", "-json", "-std", "-noserial", "-notimestamp", "-version", "v"+r.version, file)
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return normalised(said, program)
}

// normalised takes out of an SBOM what is of its making and not of the program: a serial
// number, the time, how the generator was compiled, and the order in which things were
// found; and puts the program's own hash in.
func normalised(sbom, program []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(sbom))
	decoder.UseNumber()
	var document map[string]any
	if err := decoder.Decode(&document); err != nil {
		return nil, fmt.Errorf("read what the generator of SBOMs says: %w", err)
	}
	metadata, _ := document["metadata"].(map[string]any)
	component, ok := metadata["component"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the SBOM does not say of which program it is")
	}
	delete(document, "serialNumber")
	delete(metadata, "timestamp")
	for _, tool := range tools(metadata) {
		delete(tool, "hashes")
	}
	sum := sha256.Sum256(program)
	component["hashes"] = []any{map[string]any{"alg": "SHA-256", "content": hex.EncodeToString(sum[:])}}
	sortBy(document["components"], "bom-ref")
	sortBy(document["dependencies"], "ref")
	sortBy(metadata["properties"], "name")
	for _, dependency := range objects(document["dependencies"]) {
		if on, isList := dependency["dependsOn"].([]any); isList {
			slices.SortFunc(on, func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out) // it sorts the fields
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(document); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// tools are the programs that made an SBOM, in both forms that CycloneDX has had for them.
func tools(metadata map[string]any) []map[string]any {
	if form, ok := metadata["tools"].(map[string]any); ok {
		return objects(form["components"])
	}
	return objects(metadata["tools"])
}

// objects are those of a list.
func objects(list any) []map[string]any {
	var all []map[string]any
	values, _ := list.([]any)
	for _, value := range values {
		if object, ok := value.(map[string]any); ok {
			all = append(all, object)
		}
	}
	return all
}

func sortBy(list any, field string) {
	values, _ := list.([]any)
	slices.SortStableFunc(values, func(a, b any) int {
		one, _ := a.(map[string]any)
		other, _ := b.(map[string]any)
		return cmp.Compare(fmt.Sprint(one[field]), fmt.Sprint(other[field]))
	})
}
