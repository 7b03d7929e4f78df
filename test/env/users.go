package env

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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
// certificate, and returns the path of its kubeconfig, dir/NAME.kubeconfig. Doing it
// again renews the certificate and sets the rules anew.
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

// grant makes the user's own roles and binds each of its roles.
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
	return nil
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
