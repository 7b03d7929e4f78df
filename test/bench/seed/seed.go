// Package seed writes thousands of objects straight into etcd, in seconds where the API server would
// take minutes. The objects are copies of one that the API server stored itself, so they have all
// that it adds. It may import test/env.
package seed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"vpcmirror.io/operator/test/env"
)

// Store is the etcd of a control plane.
type Store struct{ url string }

// Open finds the etcd of the control plane that was started in dir.
func Open(dir string) (*Store, error) {
	url, err := env.StoreURL(dir)
	return &Store{url: url}, err
}

// Object is one as it is stored.
type Object struct {
	Key   string
	Value []byte
}

// Key is that of an object of ours.
func Key(plural, namespace, name string) string {
	return "/registry/vpcmirror.io/" + plural + "/" + namespace + "/" + name
}

// Get reads an object.
func (s *Store) Get(ctx context.Context, key string) (Object, error) {
	var answer struct {
		Pairs []struct {
			Value []byte `json:"value"`
		} `json:"kvs"`
	}
	if err := s.ask(ctx, "range", map[string]any{"key": []byte(key)}, &answer); err != nil {
		return Object{}, err
	}
	if len(answer.Pairs) != 1 {
		return Object{}, fmt.Errorf("etcd has no %s", key)
	}
	return Object{Key: key, Value: answer.Pairs[0].Value}, nil
}

// atOnce is how many objects one request holds; etcd takes 128 at most.
const atOnce = 100

// Put writes objects.
func (s *Store) Put(ctx context.Context, objects ...Object) error {
	for len(objects) > 0 {
		n := min(atOnce, len(objects))
		var puts []any
		for _, o := range objects[:n] {
			puts = append(puts, map[string]any{"request_put": map[string]any{"key": []byte(o.Key), "value": o.Value}})
		}
		if err := s.ask(ctx, "txn", map[string]any{"success": puts}, nil); err != nil {
			return err
		}
		objects = objects[n:]
	}
	return nil
}

// ask uses etcd's JSON gateway, where bytes are base64 as Go has them too.
func (s *Store) ask(ctx context.Context, what string, question, out any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("ask etcd: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v3/kv/"+what, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask etcd: %w", err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask etcd: %w", err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("read etcd's answer: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd: %s: %s", answer.Status, content)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(content, out); err != nil {
		return fmt.Errorf("read etcd's answer: %w", err)
	}
	return nil
}

// Copy is the object with texts replaced: old, new, old, new, and so on, in key and value.
func (o Object) Copy(pairs ...string) Object {
	r := strings.NewReplacer(pairs...)
	return Object{Key: r.Replace(o.Key), Value: []byte(r.Replace(string(o.Value)))}
}
