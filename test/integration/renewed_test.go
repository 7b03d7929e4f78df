//go:build !oldest

package integration_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/controllers/credentials"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// exchange replaces the files of a directory at once, as the kubelet does.
func exchange(t *testing.T, directory, generation string, data map[string]string) {
	t.Helper()
	steps := []error{os.Mkdir(filepath.Join(directory, generation), 0o700)}
	for key, value := range data {
		steps = append(steps, os.WriteFile(filepath.Join(directory, generation, key), []byte(value), 0o600))
	}
	steps = append(steps, os.Symlink(generation, filepath.Join(directory, "next")), os.Rename(filepath.Join(directory, "next"), filepath.Join(directory, "..data")))
	for _, err := range steps {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// rename gives a session another description, and waits until the cloud has it.
func rename(w *harness.World, session *v1alpha1.MirrorSession, description string) {
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Description = description })
	harness.Ready(w, session)
}

// noErrors fails the test for each line of the log that is an error.
func noErrors(t *testing.T, m *harness.Manager) {
	t.Helper()
	for _, line := range m.Log.Lines(t) {
		if line["level"] == "ERROR" {
			t.Errorf("logged: %+v", line)
		}
	}
}

func TestKeysInFilesAreExchangedUnderAManagerThatWorks(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	directory := t.TempDir()
	files := func(generation, accessKey, secretKey, project string) {
		exchange(t, directory, generation, map[string]string{
			"accessKey": accessKey, "secretKey": secretKey, "region": scenario.WalkthroughRegion, "projectID": project, "endpoint": w.Cloud.URL,
		})
	}
	files("first", scenario.WalkthroughAccessKey, scenario.WalkthroughSecretKey, scenario.WalkthroughProject)
	label(w, true)
	m := w.Start(harness.WithOwn(credentials.Directory{Path: directory}, selected, 100*time.Millisecond))
	filter, session := ownPair(w)
	harness.Ready(w, filter)
	harness.Ready(w, session)

	const second = "EXAMPLEACCESSKEY0002"
	w.Edit(func(world *state.World) {
		a := world.Accounts[scenario.WalkthroughAccessKey]
		a.AccessKey, a.SecretKey = second, "another-example-secret"
		world.Accounts[second] = a
	})
	files("second", second, "another-example-secret", scenario.WalkthroughProject)
	w.Edit(func(world *state.World) { delete(world.Accounts, scenario.WalkthroughAccessKey) }) // revoked
	rename(w, session, "with the second key")

	// Keys for another project must not touch what is in the first.
	want := w.Content()
	const elsewhere = "fedcba9876543210fedcba9876543210"
	files("third", second, "another-example-secret", elsewhere)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Description = "in another project" })
	harness.Because(w, session, v1alpha1.ReasonAccountChanged, elsewhere, scenario.WalkthroughProject, "nothing was touched")
	w.Holds(want)
	files("fourth", second, "another-example-secret", scenario.WalkthroughProject)
	harness.Ready(w, session)
	noErrors(t, m)
}

// keeping are credentials whose keys are those of the server's agency, and live for so long.
func keeping(w *harness.World, lifetime time.Duration) credentials.Own {
	w.Edit(func(world *state.World) {
		world.Identity = state.Identity{Server: scenario.WalkthroughAccessKey, Lifetime: lifetime,
			Agencies: map[string]string{"walkthrough/mirror": scenario.WalkthroughAccessKey}}
	})
	return credentials.Issued{
		Settings: cloud.Credentials{Region: scenario.WalkthroughRegion, ProjectID: scenario.WalkthroughProject, Endpoint: w.Cloud.URL},
		Keeper:   credentials.NewKeeper("the metadata service", huawei.Metadata{Endpoint: w.Cloud.URL}.Issue, nil),
	}
}

// signers are the access keys that signed calls of an operation.
func signers(w *harness.World, operation string) map[string]bool {
	keys := map[string]bool{}
	for _, e := range w.Cloud.Journal.Since(0) {
		if e.Operation == operation && e.Status < 300 {
			keys[e.AccessKey] = true
		}
	}
	return keys
}

func TestAManagerWithTemporaryKeysOutlivesTheirEndTwice(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	label(w, true)
	m := w.Start(harness.WithOwn(keeping(w, 5*time.Second), selected, 100*time.Millisecond))
	filter, session := ownPair(w)
	harness.Ready(w, filter)
	harness.Ready(w, session)
	ends := time.Now().Add(11 * time.Second) // two lives and more
	for n := 0; time.Now().Before(ends); n++ {
		rename(w, session, strings.Repeat("x", 1+n%100))
		harness.Same(t, "refused calls", 0, refusedCalls(w))
	}
	if n := len(signers(w, "UpdateTrafficMirrorSession")); n < 3 {
		t.Errorf("%d keys were used for updates, want at least 3", n)
	}
	noErrors(t, m)
}

// refusedCalls counts the answers 401.
func refusedCalls(w *harness.World) (n int) {
	for _, e := range w.Cloud.Journal.Since(0) {
		if e.Status == 401 {
			n++
		}
	}
	return n
}

func TestWhileNoKeysCanBeHadObjectsWaitAndGoOnByThemselves(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	label(w, true)
	own := keeping(w, time.Hour)
	id, err := w.Cloud.Faults.Add(fault.Fault{Kind: fault.HTML, Operation: "GetSecurityKey"})
	if err != nil {
		t.Fatal(err)
	}
	m := w.Start(harness.WithOwn(own, selected, 100*time.Millisecond))
	filter, session := ownPair(w)
	harness.Because(w, filter, v1alpha1.ReasonCredentialsUnavailable, "the metadata service gives no keys", "asked again by itself")
	w.Cloud.Faults.Remove(id)
	harness.Ready(w, filter)
	harness.Ready(w, session)
	noErrors(t, m)
}

func TestASecretCanNameAnAgencyWhoseKeysSignInPlaceOfItsOwn(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	keeping(w, 0)
	secret := w.Secret(harness.SecretName)
	harness.Change(w, secret, func(s *corev1.Secret) {
		s.Data["agencyName"], s.Data["agencyDomain"], s.Data["iamEndpoint"] = []byte("mirror"), []byte("walkthrough"), []byte(w.Cloud.URL)
	})
	m := w.Start()
	w.Pair("assumed")
	if keys := signers(w, "CreateTrafficMirrorSession"); keys[scenario.WalkthroughAccessKey] || len(keys) != 1 {
		t.Errorf("the session was created with %v", keys)
	}
	noErrors(t, m)
}
