package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"vpcmirror.io/operator/test/env/checkout"
)

// waitUntilReady returns once the API server answers that it is ready and has made
// the namespaces that everything expects.
func (p *plane) waitUntilReady(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(rest.CopyConfig(p.config))
	if err != nil {
		return fmt.Errorf("making a client of the API server: %w", err)
	}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ready(ctx, client)
		if err == nil {
			return nil
		}
		for _, component := range []*process{p.etcd, p.apiserver} {
			if component.exited() {
				return fmt.Errorf("waiting for %s: %w; the end of its log:\n%s", component.name, errEnded, component.tail())
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the API server to be ready: %w", errors.Join(context.Cause(ctx), err))
		case <-ticker.C:
		}
	}
}

func ready(ctx context.Context, client *kubernetes.Clientset) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error(); err != nil {
		return fmt.Errorf("asking the API server whether it is ready: %w", err)
	}
	for _, name := range []string{"default", "kube-system"} {
		if _, err := client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{}); err != nil {
			return fmt.Errorf("looking for the namespace %s: %w", name, err)
		}
	}
	return nil
}

// installCRDs installs the CustomResourceDefinitions of the folder and waits until
// the API server serves them.
func (p *plane) installCRDs(folder string) error {
	if folder == "" {
		root, err := checkout.Root()
		if err != nil {
			return fmt.Errorf("finding the CustomResourceDefinitions: %w", err)
		}
		folder = filepath.Join(root, "config", "crd", "bases")
	}
	if _, err := os.Stat(folder); err != nil {
		return fmt.Errorf("finding the CustomResourceDefinitions (`make generate` writes them): %w", err)
	}
	_, err := envtest.InstallCRDs(p.config, envtest.CRDInstallOptions{
		Paths:              []string{folder},
		ErrorIfPathMissing: true,
		MaxTime:            30 * time.Second,
		PollInterval:       50 * time.Millisecond,
	})
	if err != nil {
		return fmt.Errorf("installing the CustomResourceDefinitions of %s: %w", folder, err)
	}
	return nil
}
