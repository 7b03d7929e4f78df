package env

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"vpcmirror.io/operator/test/env/pki"
)

// User is someone who may do only what RBAC grants.
type User struct {
	// Name is the user's name and that of its own ClusterRole and bindings.
	Name string
	// Groups the user belongs to; "system:masters" may do everything.
	Groups []string
	// ClusterRoles are names of existing roles to bind cluster-wide, for example
	// the one of config/rbac after it was applied.
	ClusterRoles []string
	// Rules are granted cluster-wide by a ClusterRole of the user's own.
	Rules []rbacv1.PolicyRule
	// Within are granted in the namespaces named, by a Role of the user's own.
	Within map[string][]rbacv1.PolicyRule
}

// AddUser makes a user of the control plane that was started in dir, with a client
// certificate, and returns the path of its kubeconfig, dir/NAME.kubeconfig. The server
// lets the user do all that from then on. Doing it again renews the certificate and sets
// the rules anew.
func AddUser(ctx context.Context, dir string, user User) (kubeconfigPath string, err error) {
	if user.Name == "" || strings.ContainsAny(user.Name, "/\\") {
		return "", fmt.Errorf("a user's name must not be empty or have a slash, %q is not good", user.Name)
	}
	admin, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "admin.kubeconfig"))
	if err != nil {
		return "", fmt.Errorf("reading the administrator's kubeconfig: %w", err)
	}
	signer, err := loadAuthority(dir)
	if err != nil {
		return "", err
	}
	if err := grant(ctx, admin, user); err != nil {
		return "", err
	}
	_, path, err := writeKubeconfig(dir, signer, user, admin.Host)
	return path, err
}

// grant makes the user's own roles, binds each of its roles, and waits until the server
// goes by them.
func grant(ctx context.Context, admin *rest.Config, user User) error {
	api, err := client.New(admin, client.Options{})
	if err != nil {
		return fmt.Errorf("making a client of the API server: %w", err)
	}
	roles := user.ClusterRoles
	var objects []client.Object
	if len(user.Rules) > 0 {
		own := "user:" + user.Name
		roles = append([]string{own}, roles...)
		objects = append(objects, &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: own},
			Rules:      user.Rules,
		})
	}
	for _, role := range roles {
		objects = append(objects, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "user:" + user.Name + ":" + role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user.Name}},
		})
	}
	for namespace, rules := range user.Within {
		place := metav1.ObjectMeta{Namespace: namespace, Name: "user:" + user.Name}
		objects = append(objects, &rbacv1.Role{ObjectMeta: place, Rules: rules}, &rbacv1.RoleBinding{
			ObjectMeta: place,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: place.Name},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user.Name}},
		})
	}
	for _, object := range objects {
		if err := createOrReplace(ctx, api, object); err != nil {
			return fmt.Errorf("granting %s its roles: %w", user.Name, err)
		}
	}
	for _, role := range roles {
		var granted rbacv1.ClusterRole
		if err := api.Get(ctx, client.ObjectKey{Name: role}, &granted); err != nil {
			return fmt.Errorf("reading a role of %s: %w", user.Name, err)
		}
		if err := waitUntilAllowed(ctx, api, user, "", granted.Rules); err != nil {
			return err
		}
	}
	for namespace, rules := range user.Within {
		if err := waitUntilAllowed(ctx, api, user, namespace, rules); err != nil {
			return err
		}
	}
	return nil
}

// allowedPatience is how long the server may take until it goes by new roles, which it
// learns of by watching them.
const allowedPatience = 30 * time.Second

// waitUntilAllowed returns once the server lets the user do one thing of each rule.
func waitUntilAllowed(ctx context.Context, api client.Client, user User, namespace string, rules []rbacv1.PolicyRule) error {
	ctx, cancel := context.WithTimeout(ctx, allowedPatience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for _, rule := range rules {
		for {
			review := reviewOf(user, namespace, rule)
			if err := api.Create(ctx, review); err != nil {
				return fmt.Errorf("asking what %s may do: %w", user.Name, err)
			}
			if review.Status.Allowed {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("waiting until %s may do what %s grants: %w", user.Name, rule.String(), ctx.Err())
			case <-again.C:
			}
		}
	}
	return nil
}

// reviewOf asks for the first thing that the rule grants.
func reviewOf(user User, namespace string, rule rbacv1.PolicyRule) *authorizationv1.SubjectAccessReview {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user.Name, Groups: user.Groups}}
	if len(rule.NonResourceURLs) > 0 {
		review.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: rule.NonResourceURLs[0], Verb: rule.Verbs[0]}
		return review
	}
	resource, subresource, _ := strings.Cut(rule.Resources[0], "/")
	review.Spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
		Namespace: namespace, Verb: rule.Verbs[0], Group: rule.APIGroups[0], Resource: resource, Subresource: subresource,
	}
	if len(rule.ResourceNames) > 0 {
		review.Spec.ResourceAttributes.Name = rule.ResourceNames[0]
	}
	return review
}

func createOrReplace(ctx context.Context, api client.Client, object client.Object) error {
	gvk, err := apiutil.GVKForObject(object, api.Scheme())
	if err != nil {
		return fmt.Errorf("finding the kind of %s: %w", object.GetName(), err)
	}
	err = client.IgnoreAlreadyExists(api.Create(ctx, object.DeepCopyObject().(client.Object)))
	if err != nil {
		return fmt.Errorf("making %s %s: %w", gvk.Kind, object.GetName(), err)
	}
	// No resource version: an update of RBAC objects without one replaces them.
	if err := api.Update(ctx, object); err != nil {
		return fmt.Errorf("setting %s %s: %w", gvk.Kind, object.GetName(), err)
	}
	return nil
}

// writeKubeconfig signs a client certificate for the user and writes a kubeconfig
// that needs no other file.
func writeKubeconfig(dir string, signer *pki.Authority, user User, server string) (*rest.Config, string, error) {
	signed, err := signer.Client(user.Name, user.Groups...)
	if err != nil {
		return nil, "", err
	}
	const name = "vpcmirror-local"
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: signer.CertPEM}
	kubeconfig.AuthInfos[user.Name] = &clientcmdapi.AuthInfo{
		ClientCertificateData: signed.Cert, ClientKeyData: signed.Key,
	}
	kubeconfig.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: user.Name}
	kubeconfig.CurrentContext = name

	path := filepath.Join(dir, user.Name+".kubeconfig")
	if err := clientcmd.WriteToFile(*kubeconfig, path); err != nil {
		return nil, "", fmt.Errorf("writing the kubeconfig of %s: %w", user.Name, err)
	}
	config, err := clientcmd.NewDefaultClientConfig(*kubeconfig, nil).ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig of %s back: %w", user.Name, err)
	}
	// The server is ours alone; a limit in the client would only slow tests down.
	config.QPS, config.Burst = 1000, 2000
	return config, path, nil
}

// loadAuthority reads back what plane.secrets wrote.
func loadAuthority(dir string) (*pki.Authority, error) {
	cert, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("reading the certificate authority: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "ca.key"))
	if err != nil {
		return nil, fmt.Errorf("reading the certificate authority's key: %w", err)
	}
	authority, err := pki.Load(cert, key)
	if err != nil {
		return nil, fmt.Errorf("reading ca.crt and ca.key of %s (start the control plane again): %w", dir, err)
	}
	return authority, nil
}
