package sim_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
)

func addFault(t *testing.T, cloud *sim.Sim, f fault.Fault) {
	t.Helper()
	if _, err := cloud.Faults.Add(f); err != nil {
		t.Fatal(err)
	}
}

func TestAConnectionThatIsResetAfterTheWriteTookEffect(t *testing.T) {
	cloud := sim.ForTest(t)
	c := sdkClient(t, cloud, walkthroughKeys())
	addFault(t, cloud, fault.ResetAfterEffect("CreateTrafficMirrorFilter", 1))
	create := &model.CreateTrafficMirrorFilterRequest{Body: &model.CreateTrafficMirrorFilterRequestBody{
		TrafficMirrorFilter: &model.CreateTrafficMirrorFilterOption{Name: "twice"},
	}}
	_, err := c.CreateTrafficMirrorFilter(create)
	var broken *url.Error
	if !errors.As(err, &broken) {
		t.Fatalf("the reset create gives %v; want a transport error", err)
	}
	if n := len(cloud.State.Snapshot().Filters); n != 1 {
		t.Fatalf("%d filters after the reset, want the one that was made", n)
	}
	if _, err := c.CreateTrafficMirrorFilter(create); err != nil {
		t.Fatal(err)
	}
	if n := len(cloud.State.Snapshot().Filters); n != 2 {
		t.Fatalf("%d filters after the retry, want the duplicate that a careless client makes", n)
	}
}

func TestAConnectionThatIsResetBeforeTheWrite(t *testing.T) {
	cloud := sim.ForTest(t)
	addFault(t, cloud, fault.Fault{Kind: fault.Reset, Method: http.MethodPost})
	_, err := sdkClient(t, cloud, walkthroughKeys()).CreateTrafficMirrorFilter(&model.CreateTrafficMirrorFilterRequest{Body: &model.CreateTrafficMirrorFilterRequestBody{
		TrafficMirrorFilter: &model.CreateTrafficMirrorFilterOption{Name: "never"},
	}})
	if err == nil || len(cloud.State.Snapshot().Filters) != 0 {
		t.Fatalf("error %v and %d filters; want an error and none", err, len(cloud.State.Snapshot().Filters))
	}
	if e := cloud.Journal.Since(0)[0]; e.Status != 0 || e.Operation != "CreateTrafficMirrorFilter" {
		t.Fatalf("the journal says %+v; want status 0", e)
	}
}

func TestAWriteWithoutAnAnswerThatTakesEffectLater(t *testing.T) {
	for name, f := range map[string]fault.Fault{
		"lost":             fault.Late(fault.Reset, "CreateTrafficMirrorFilter", 1, 100*time.Millisecond),
		"never answered":   {Kind: fault.Slow, Delay: fault.Duration(time.Hour), Times: 1, EffectIn: fault.Duration(100 * time.Millisecond)},
		"answered at once": fault.Late(fault.Accepted, "CreateTrafficMirrorFilter", 1, 100*time.Millisecond),
	} {
		t.Run(name, func(t *testing.T) {
			cloud := sim.ForTest(t)
			addFault(t, cloud, f)
			c := sdkClient(t, cloud, walkthroughKeys())
			called := make(chan *model.CreateTrafficMirrorFilterResponse, 1)
			go func() {
				answer, err := c.CreateTrafficMirrorFilter(&model.CreateTrafficMirrorFilterRequest{Body: &model.CreateTrafficMirrorFilterRequestBody{
					TrafficMirrorFilter: &model.CreateTrafficMirrorFilterOption{Name: "late"},
				}})
				if err != nil {
					answer = nil
				}
				called <- answer
			}()
			waitFor(t, "the filter", func() bool { return len(cloud.State.Snapshot().Filters) == 1 })
			if f.Kind != fault.Accepted {
				return
			}
			answer := <-called
			if answer == nil || cloud.State.Snapshot().Filters[answer.TrafficMirrorFilter.Id].Name != "late" {
				t.Fatalf("the answer %+v does not name the filter that came", answer)
			}
		})
	}
}

func TestAnAnswerSlowerThanTheClientWaits(t *testing.T) {
	cloud := sim.ForTest(t)
	addFault(t, cloud, fault.Fault{Kind: fault.Slow, Delay: fault.Duration(time.Hour)})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, cloud.URL+"/v3/projects", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err == nil {
		_ = answer.Body.Close()
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error %v; want the client's deadline to pass", err)
	}
}

func TestClosingLetsGoOfAHeldBackAnswer(t *testing.T) {
	cloud := sim.ForTest(t)
	addFault(t, cloud, fault.Fault{Kind: fault.Slow, Delay: fault.Duration(time.Hour)})
	done := make(chan error, 1)
	go func() {
		answer, err := http.Get(cloud.URL + "/v3/projects")
		if err == nil {
			err = answer.Body.Close()
		}
		done <- err
	}()
	waitFor(t, "the fault to strike", func() bool { return cloud.Faults.List()[0].Struck == 1 })
	if err := cloud.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatalf("the held back request got %v; want an answer", err)
	}
	if err := cloud.Wait(); err != nil {
		t.Fatal(err)
	}
}

// waitFor polls until the condition holds.
func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited ten seconds for %s", what)
		}
	}
}

func TestARegionThatLacksTheNewerCalls(t *testing.T) {
	cloud := sim.ForTest(t, sim.WithoutOperations("ListPorts", "ShowPort", "ShowQuota"))
	c := sdkClient(t, cloud, walkthroughKeys())
	_, err := c.ListPorts(&model.ListPortsRequest{})
	wantRefusal(t, err, http.StatusNotFound, "APIGW.0101")
	_, err = c.ShowQuota(&model.ShowQuotaRequest{})
	wantRefusal(t, err, http.StatusNotFound, "APIGW.0101")
	if _, err := c.ListTrafficMirrorFilters(&model.ListTrafficMirrorFiltersRequest{}); err != nil {
		t.Fatal(err)
	}
}

func TestDriftBehindTheAPIsBackIsSeenByTheNextRead(t *testing.T) {
	cloud := sim.ForTest(t)
	c := sdkClient(t, cloud, walkthroughKeys())
	filter := mustFilter(t, c, "drifting")
	cloud.State.Edit(func(w *state.World) {
		f := w.Filters[filter.Id]
		f.Name = "renamed"
		w.Filters[f.ID] = f
	})
	got, err := c.ShowTrafficMirrorFilter(&model.ShowTrafficMirrorFilterRequest{TrafficMirrorFilterId: filter.Id})
	if err != nil || got.TrafficMirrorFilter.Name != "renamed" {
		t.Fatalf("ShowTrafficMirrorFilter = %+v, %v; want the new name", got, err)
	}
}

func TestAClientThatForgetsToPageMissesObjects(t *testing.T) {
	cloud := sim.ForTest(t, sim.WithPageCap(2))
	c := sdkClient(t, cloud, walkthroughKeys())
	for range 5 {
		mustFilter(t, c, "f")
	}
	var seen []string
	request := &model.ListTrafficMirrorFiltersRequest{Limit: ptr(int32(2000))}
	for pages := 1; ; pages++ {
		out, err := c.ListTrafficMirrorFilters(request)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range *out.TrafficMirrorFilters {
			seen = append(seen, f.Id)
		}
		if out.PageInfo.NextMarker == nil {
			if pages != 3 || len(seen) != 5 {
				t.Fatalf("%d pages with %d filters; want 3 with 5", pages, len(seen))
			}
			return
		}
		request.Marker = out.PageInfo.NextMarker
	}
}

func TestTheCloudEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cloud, err := sim.Start(ctx, scenario.Walkthrough())
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := cloud.Wait(); err != nil {
		t.Fatal(err)
	}
	if answer, err := http.Get(cloud.URL); err == nil {
		_ = answer.Body.Close()
		t.Fatal("it still answers")
	}
}

func TestASecondCloudOnTheSamePortIsAnError(t *testing.T) {
	cloud := sim.ForTest(t)
	address := strings.TrimPrefix(cloud.URL, "http://")
	_, err := sim.Start(t.Context(), scenario.Walkthrough(), sim.WithListen(address))
	if err == nil || !strings.Contains(err.Error(), address) {
		t.Fatalf("error %v; want one that names %s", err, address)
	}
}

func TestTheSDKWritesNothingUnderHome(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	mustFilter(t, sdkClient(t, sim.ForTest(t), walkthroughKeys()), "f")
	entries, err := os.ReadDir(home)
	if err != nil || len(entries) != 0 {
		t.Fatalf("HOME holds %v (%v)", entries, err)
	}
}
