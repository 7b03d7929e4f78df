package scale

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/test/bench/seed"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sign"
)

// first is how many sessions the manager makes itself where the others are copies of one of them.
const first = 200

// fill makes all filters, the first sessions, and the others as copies of a healthy one: in the
// cloud by its calls, in the cluster past the API server, which would take a quarter of an hour.
func (t *trial) fill(ctx context.Context) error {
	began := time.Now()
	if err := t.startManager(ctx, settings{callsPerSecond: fast, workers: workers}); err != nil {
		return err
	}
	// The filters first: the journal, which is to tell of the model, is not long enough for both.
	if err := t.createFilters(ctx); err != nil {
		return err
	}
	if _, err := t.readyFirst(ctx, 0, 15*time.Minute); err != nil {
		return err
	}
	if err := t.createSessions(ctx, first); err != nil {
		return err
	}
	if _, err := t.readyFirst(ctx, first, 10*time.Minute); err != nil {
		return err
	}
	if err := t.report(ctx, first); err != nil {
		return err
	}
	t.say("%d filters and %d sessions are made by the manager after %.0f s", t.filters(), first, time.Since(began).Seconds())
	m, err := t.model(ctx)
	if err != nil {
		return err
	}
	if err := t.stopManager(); err != nil {
		return err
	}
	if err := t.cloud.control(ctx, http.MethodDelete, "faults", "", nil); err != nil {
		return err
	}
	var all sync.Mutex
	var objects []seed.Object
	err = each(ctx, t.sessions-first, func(ctx context.Context, n int) error {
		object, err := t.copyOf(ctx, m, first+n)
		all.Lock()
		defer all.Unlock()
		objects = append(objects, object)
		return err
	})
	if err != nil {
		return fmt.Errorf("copy a session: %w", err)
	}
	store, err := seed.Open(t.Plane())
	if err != nil {
		return err
	}
	if err := store.Put(ctx, objects...); err != nil {
		return err
	}
	t.say("all others are made after %.0f s", time.Since(began).Seconds())
	return t.cloud.slow(ctx)
}

// model is the session of which the others are copies.
type model struct {
	session *v1alpha1.MirrorSession
	object  seed.Object
	body    string // of the call that made it in the cloud
	filters map[string]*v1alpha1.MirrorFilter
}

func (t *trial) model(ctx context.Context) (*model, error) {
	m := &model{session: t.session(0), filters: map[string]*v1alpha1.MirrorFilter{}}
	if err := t.API.Get(ctx, client.ObjectKeyFromObject(m.session), m.session); err != nil {
		return nil, fmt.Errorf("read the model of the sessions: %w", err)
	}
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionPathClear, v1alpha1.ConditionTrafficObserved} {
		if !meta.IsStatusConditionTrue(m.session.Status.Conditions, kind) {
			return nil, fmt.Errorf("the model of the sessions is not healthy: %s is not True: %+v", kind, m.session.Status.Conditions)
		}
	}
	var filters v1alpha1.MirrorFilterList
	if err := t.API.List(ctx, &filters, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list the filters: %w", err)
	}
	for i := range filters.Items {
		m.filters[filters.Items[i].Name] = &filters.Items[i]
	}
	writes, err := t.cloud.writes(ctx, 0)
	if err != nil {
		return nil, err
	}
	for _, w := range writes {
		if w.Operation == "CreateTrafficMirrorSession" && strings.Contains(w.Body, id(kindSource, 0)) {
			m.body = w.Body
		}
	}
	if m.body == "" {
		return nil, errors.New("the cloud's journal no longer has the call that made the model of the sessions")
	}
	if want := m.basis(m.session.Status.Sessions[0].ID, 0, int(*m.session.Status.VNI)); want != m.session.Status.EpochBasis {
		return nil, fmt.Errorf("the model's basis is %s, and not %s as its copies would have it", m.session.Status.EpochBasis, want)
	}
	store, err := seed.Open(t.Plane())
	if err != nil {
		return nil, err
	}
	m.object, err = store.Get(ctx, seed.Key("mirrorsessions", namespace, m.session.Name))
	return m, err
}

func (m *model) filterOf(n int) *v1alpha1.MirrorFilter {
	return m.filters[fmt.Sprintf("filter-%d", n/sessionsPerFilter)]
}

// basis is what the manager stores of a session in the cloud, by which it sees that nothing has changed.
func (m *model) basis(cloudID string, n, vni int) string {
	filter := m.filterOf(n)
	return plan.SessionBasis(plan.Epoch{Number: filter.Status.Epoch, Basis: filter.Status.EpochBasis}, cloud.Session{ID: cloudID, Sources: []string{id(kindSource, n)}, SessionSpec: cloud.SessionSpec{
		FilterID: filter.Status.ID, TargetID: id(kindTarget, n/sessionsPerTarget), TargetType: cloud.TargetInterface, VNI: vni, Enabled: true,
	}})
}

// What the SDK writes into a body as a number, or as a text.
var (
	bodyVNI      = regexp.MustCompile(`"virtual_network_id":"?\d+"?`)
	bodyPriority = regexp.MustCompile(`"priority":"?\d+"?`)
)

// copyOf makes a session in the cloud, and returns the object that goes with it.
func (t *trial) copyOf(ctx context.Context, m *model, n int) (seed.Object, error) {
	vni, priority := n%sessionsPerTarget+1, 10000+n
	uid, modelUID := fmt.Sprintf("%08x-0000-4000-9000-%012x", n, n), string(m.session.UID)
	status, target := m.session.Status, n/sessionsPerTarget
	mac := func(kind, n int) string {
		return fmt.Sprintf("fa:16:3f:%02x:%02x:%02x", kind<<4|n>>16, n>>8&0xff, n&0xff)
	}
	placed := fmt.Sprintf(`,"nodeName":%q`, nodeName(0))
	stays := placed
	if t.hostOf(target)*targetsPerNode != target {
		stays = "" // a node has the address of its first target
	}
	pairs := []string{
		placed, strings.ReplaceAll(stays, nodeName(0), nodeName(t.hostOf(target))), "session-0", fmt.Sprintf("session-%d", n), "filter-0", m.filterOf(n).Name, modelUID, uid, modelUID[:8], uid[:8], // the name in the cloud ends so
		id(kindSource, 0), id(kindSource, n), id(kindTarget, 0), id(kindTarget, target),
		m.filterOf(0).Status.ID, m.filterOf(n).Status.ID,
		v1alpha1.VerifierName(nodeName(0)), v1alpha1.VerifierName(nodeName(t.hostOf(target))), nodeName(0), nodeName(t.hostOf(target)),
		sourceAddress(0).String(), sourceAddress(n).String(), targetAddress(0).String(), targetAddress(target).String(),
		mac(kindSource, 0), mac(kindSource, n), mac(kindTarget, 0), mac(kindTarget, target),
	}
	body := strings.NewReplacer(pairs...).Replace(m.body)
	body = bodyVNI.ReplaceAllString(body, fmt.Sprintf(`"virtual_network_id":"%d"`, vni))
	body = bodyPriority.ReplaceAllString(body, fmt.Sprintf(`"priority":%d`, priority))
	cloudID, err := t.cloud.createSession(ctx, body)
	if err != nil {
		return seed.Object{}, err
	}
	pairs = append(pairs,
		status.Sessions[0].ID, cloudID, status.EpochBasis, m.basis(cloudID, n, vni),
		fmt.Sprintf(`"vni":%d`, *status.VNI), fmt.Sprintf(`"vni":%d`, vni), fmt.Sprintf(`VNI %d"`, *status.VNI), fmt.Sprintf(`VNI %d"`, vni),
		fmt.Sprintf(`"priority":%d`, status.Sessions[0].Priority), `"priority":`+strconv.Itoa(priority))
	return m.object.Copy(pairs...), nil
}

// createSession makes a session by the cloud's own call, and returns its ID.
func (c *cloudProcess) createSession(ctx context.Context, body string) (string, error) {
	url := c.url + "/v3/" + scenario.WalkthroughProject + "/vpc/traffic-mirror-sessions"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("make a session in the cloud: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if err := sign.Sign(request, sign.Credentials{
		AccessKey: scenario.WalkthroughAccessKey, SecretKey: scenario.WalkthroughSecretKey, ProjectID: scenario.WalkthroughProject,
	}, []byte(body), time.Now()); err != nil {
		return "", fmt.Errorf("make a session in the cloud: %w", err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("make a session in the cloud: %w", err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", fmt.Errorf("make a session in the cloud: %w", err)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return "", fmt.Errorf("make a session in the cloud: %s: %s", answer.Status, bytes.TrimSpace(content))
	}
	var made struct {
		Session struct {
			ID string `json:"id"`
		} `json:"traffic_mirror_session"`
	}
	if err := json.Unmarshal(content, &made); err != nil {
		return "", fmt.Errorf("make a session in the cloud: %w", err)
	}
	return made.Session.ID, nil
}
