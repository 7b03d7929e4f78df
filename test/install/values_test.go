package install

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Each row is all that a value changes in what is installed with no values: "-" before it, "+" after it.
func TestAValueChangesWhatItIsForAndNothingElse(t *testing.T) {
	const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const manager, verifier, pod = "Deployment vpcmirror-manager", "DaemonSet vpcmirror-verifier", ".spec.template.spec"
	both := func(path string) []string { return []string{"+" + verifier + pod + path, "+" + manager + pod + path} }
	before := flat(t, installation(t, ""))
	for _, row := range []struct {
		values string
		want   []string
	}{
		{"imagePullSecrets: [{name: registry}]", append(both(".imagePullSecrets[0].name=registry"),
			"+Pod vpcmirror-test-version.spec.imagePullSecrets[0].name=registry")},
		{"{global: {imagePullSecrets: [all, {name: others}]}, imagePullSecrets: [{name: all}, {name: mine}]}", slices.Concat(
			both(".imagePullSecrets[0].name=all"), both(".imagePullSecrets[1].name=others"), both(".imagePullSecrets[2].name=mine"), []string{
				"+Pod vpcmirror-test-version.spec.imagePullSecrets[0].name=all", "+Pod vpcmirror-test-version.spec.imagePullSecrets[1].name=others",
				"+Pod vpcmirror-test-version.spec.imagePullSecrets[2].name=mine",
			})},
		{"{global: {imageRegistry: registry.example.com/mirrors}, image: {repository: 'ghcr.io/vpcmirror', tag: '9'}, verifier: {image: 'quay.io/own/verifier:1@sha256:" + digest + "'}}", []string{
			"+" + verifier + pod + ".containers[0].image=registry.example.com/mirrors/own/verifier:1@sha256:" + digest, "+" + manager + pod + ".containers[0].image=registry.example.com/mirrors/vpcmirror/manager:9",
			"+Pod vpcmirror-test-version.spec.containers[0].image=registry.example.com/mirrors/vpcmirror/manager:9",
			"-" + verifier + pod + ".containers[0].image=localhost/vpcmirror/verifier:0.1.0", "-" + manager + pod + ".containers[0].image=localhost/vpcmirror/manager:0.1.0",
			"-Pod vpcmirror-test-version.spec.containers[0].image=localhost/vpcmirror/manager:0.1.0",
		}},
		{"{global: {imageRegistry: 'registry.example.com:5000'}, manager: {image: 'own/manager@sha256:" + digest + "'}, verifier: {image: 'localhost/v:1'}}", []string{
			"+" + verifier + pod + ".containers[0].image=registry.example.com:5000/v:1", "+" + manager + pod + ".containers[0].image=registry.example.com:5000/own/manager@sha256:" + digest,
			"+Pod vpcmirror-test-version.spec.containers[0].image=registry.example.com:5000/own/manager@sha256:" + digest,
			"-" + verifier + pod + ".containers[0].image=localhost/vpcmirror/verifier:0.1.0", "-" + manager + pod + ".containers[0].image=localhost/vpcmirror/manager:0.1.0",
			"-Pod vpcmirror-test-version.spec.containers[0].image=localhost/vpcmirror/manager:0.1.0",
		}},
		{"manager: {podLabels: {team: net}, podAnnotations: {a.example.com/b: c}}", []string{
			"+" + manager + ".spec.template.metadata.labels.team=net", "+" + manager + ".spec.template.metadata.annotations.a.example.com/b=c",
		}},
		{"verifier: {podLabels: {team: net}}", []string{"+" + verifier + ".spec.template.metadata.labels.team=net"}},
		{"{manager: {serviceAccount: {annotations: {a: b}}}, verifier: {serviceAccount: {annotations: {c: d}}}}", []string{
			"+ServiceAccount vpcmirror-manager.metadata.annotations.a=b", "+ServiceAccount vpcmirror-verifier.metadata.annotations.c=d",
		}},
		{"{manager: {extraEnvFrom: [{secretRef: {name: s}}]}, verifier: {extraEnvFrom: [{configMapRef: {name: c}}]}}", []string{
			"+" + manager + pod + ".containers[0].envFrom[0].secretRef.name=s", "+" + verifier + pod + ".containers[0].envFrom[0].configMapRef.name=c",
		}},
		{"{manager: {env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]}}", []string{
			"+" + manager + pod + ".containers[0].env[2].name=A", "+" + manager + pod + ".containers[0].env[2].valueFrom.secretKeyRef.key=k",
			"+" + manager + pod + ".containers[0].env[2].valueFrom.secretKeyRef.name=s",
		}},
		{"{manager: {extraVolumes: [{name: v, emptyDir: {}}], extraVolumeMounts: [{name: v, mountPath: /v}]}, cloud: {caBundle: ca}}", []string{
			"+" + manager + pod + ".containers[0].args[6]=--cloud-ca-bundle=/etc/vpcmirror/cloud-ca/ca.crt",
			"+" + manager + pod + ".containers[0].volumeMounts[0].mountPath=/etc/vpcmirror/cloud-ca",
			"+" + manager + pod + ".containers[0].volumeMounts[0].name=cloud-ca", "+" + manager + pod + ".containers[0].volumeMounts[0].readOnly=true",
			"+" + manager + pod + ".containers[0].volumeMounts[1].mountPath=/v", "+" + manager + pod + ".containers[0].volumeMounts[1].name=v",
			"+" + manager + pod + ".volumes[0].configMap.items[0].key=ca.crt", "+" + manager + pod + ".volumes[0].configMap.items[0].path=ca.crt",
			"+" + manager + pod + ".volumes[0].configMap.name=ca", "+" + manager + pod + ".volumes[0].name=cloud-ca",
			"+" + manager + pod + ".volumes[1].emptyDir={}", "+" + manager + pod + ".volumes[1].name=v",
		}},
		{"{verifier: {extraVolumes: [{name: v, emptyDir: {}}], extraVolumeMounts: [{name: v, mountPath: /v}]}}", []string{
			"+" + verifier + pod + ".containers[0].volumeMounts[0].mountPath=/v", "+" + verifier + pod + ".containers[0].volumeMounts[0].name=v",
			"+" + verifier + pod + ".volumes[0].emptyDir={}", "+" + verifier + pod + ".volumes[0].name=v",
		}},
		// The pod of helm test reaches the same registry and runs on the same nodes.
		{"manager: {hostAliases: [{ip: 192.0.2.1, hostnames: [vpc.example.com]}], dnsConfig: {options: [{name: ndots, value: '1'}]}}", []string{
			"+" + manager + pod + ".dnsConfig.options[0].name=ndots", "+" + manager + pod + ".dnsConfig.options[0].value=1",
			"+" + manager + pod + ".hostAliases[0].hostnames[0]=vpc.example.com", "+" + manager + pod + ".hostAliases[0].ip=192.0.2.1",
			"+Pod vpcmirror-test-version.spec.dnsConfig.options[0].name=ndots", "+Pod vpcmirror-test-version.spec.dnsConfig.options[0].value=1",
			"+Pod vpcmirror-test-version.spec.hostAliases[0].hostnames[0]=vpc.example.com", "+Pod vpcmirror-test-version.spec.hostAliases[0].ip=192.0.2.1",
		}},
		{"verifier: {hostAliases: [{ip: 192.0.2.1, hostnames: [a]}], dnsConfig: {nameservers: [192.0.2.2]}}", []string{
			"+" + verifier + pod + ".dnsConfig.nameservers[0]=192.0.2.2", "+" + verifier + pod + ".hostAliases[0].hostnames[0]=a",
			"+" + verifier + pod + ".hostAliases[0].ip=192.0.2.1",
		}},
		// What is not named stays, and "false" and 0 are values too.
		{"manager: {podSecurityContext: {runAsUser: 0, runAsNonRoot: false, fsGroup: 7}, securityContext: {readOnlyRootFilesystem: false}}", []string{
			"+" + manager + pod + ".containers[0].securityContext.readOnlyRootFilesystem=false",
			"+" + manager + pod + ".securityContext.fsGroup=7", "+" + manager + pod + ".securityContext.runAsNonRoot=false",
			"+" + manager + pod + ".securityContext.runAsUser=0",
			"+Pod vpcmirror-test-version.spec.containers[0].securityContext.readOnlyRootFilesystem=false",
			"+Pod vpcmirror-test-version.spec.securityContext.fsGroup=7",
			"+Pod vpcmirror-test-version.spec.securityContext.runAsNonRoot=false", "+Pod vpcmirror-test-version.spec.securityContext.runAsUser=0",
			"-" + manager + pod + ".containers[0].securityContext.readOnlyRootFilesystem=true",
			"-" + manager + pod + ".securityContext.fsGroup=65532", "-" + manager + pod + ".securityContext.runAsNonRoot=true",
			"-" + manager + pod + ".securityContext.runAsUser=65532",
			"-Pod vpcmirror-test-version.spec.containers[0].securityContext.readOnlyRootFilesystem=true",
			"-Pod vpcmirror-test-version.spec.securityContext.runAsNonRoot=true", "-Pod vpcmirror-test-version.spec.securityContext.runAsUser=65532",
		}},
		{"verifier: {podSecurityContext: {supplementalGroups: [9]}, securityContext: {seLinuxOptions: {type: spc_t}}}", []string{
			"+" + verifier + pod + ".containers[0].securityContext.seLinuxOptions.type=spc_t", "+" + verifier + pod + ".securityContext.supplementalGroups[0]=9",
		}},
		{"manager: {strategy: {type: Recreate, rollingUpdate: null}}", []string{
			"+" + manager + ".spec.strategy.type=Recreate", "-" + manager + ".spec.strategy.rollingUpdate.maxSurge=1",
			"-" + manager + ".spec.strategy.rollingUpdate.maxUnavailable=0", "-" + manager + ".spec.strategy.type=RollingUpdate",
		}},
		{"manager: {strategy: {type: Recreate}}", []string{
			"+" + manager + ".spec.strategy.type=Recreate", "-" + manager + ".spec.strategy.rollingUpdate.maxSurge=1",
			"-" + manager + ".spec.strategy.rollingUpdate.maxUnavailable=0", "-" + manager + ".spec.strategy.type=RollingUpdate",
		}},
		{"manager: {strategy: {rollingUpdate: {maxSurge: 50%}}}", []string{
			"+" + manager + ".spec.strategy.rollingUpdate.maxSurge=50%", "-" + manager + ".spec.strategy.rollingUpdate.maxSurge=1",
		}},
		{"verifier: {updateStrategy: {type: OnDelete}}", []string{
			"+" + verifier + ".spec.updateStrategy.type=OnDelete", "-" + verifier + ".spec.updateStrategy.rollingUpdate.maxUnavailable=10%",
			"-" + verifier + ".spec.updateStrategy.type=RollingUpdate",
		}},
		{"{manager: {revisionHistoryLimit: 0}, verifier: {revisionHistoryLimit: 1}}", []string{
			"+" + manager + ".spec.revisionHistoryLimit=0", "+" + verifier + ".spec.revisionHistoryLimit=1",
			"-" + manager + ".spec.revisionHistoryLimit=3", "-" + verifier + ".spec.revisionHistoryLimit=3",
		}},
		{"manager: {topologySpreadConstraints: [{topologyKey: rack, maxSkew: 2, whenUnsatisfiable: DoNotSchedule}]}", spreads(before, manager, map[string]string{
			"maxSkew": "2", "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule",
		})},
		{"extraObjects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: '{{ .Release.Name }}-own'}, data: {version: '{{ .Chart.AppVersion }}'}}, " +
			"\"apiVersion: v1\\nkind: Secret\\nmetadata:\\n  name: of-{{ .Release.Namespace }}\\n\"]", []string{
			"+ConfigMap vpcmirror-own.apiVersion=v1", "+ConfigMap vpcmirror-own.data.version=0.1.0", "+ConfigMap vpcmirror-own.kind=ConfigMap",
			"+ConfigMap vpcmirror-own.metadata.name=vpcmirror-own", "+Secret of-vpcmirror-system.apiVersion=v1",
			"+Secret of-vpcmirror-system.kind=Secret", "+Secret of-vpcmirror-system.metadata.name=of-vpcmirror-system",
		}},
		{"monitoring: {sessionMetrics: troubled}", []string{
			"+" + manager + pod + ".containers[0].args[2]=--session-metrics=troubled", "-" + manager + pod + ".containers[0].args[2]=--session-metrics=auto",
		}},
		{"tracing: {endpoint: 'http://collector.tracing:4318'}", []string{
			"+" + manager + pod + ".containers[0].args[6]=--otlp-endpoint=http://collector.tracing:4318",
			"+NetworkPolicy vpcmirror-manager.spec.egress[3].ports[0].port=4318", "+NetworkPolicy vpcmirror-manager.spec.egress[3].ports[0].protocol=TCP",
		}},
		{"{tracing: {endpoint: 'https://collector.example.com/v1'}, networkPolicy: {extraEgress: [{ports: [{port: 1}]}]}}", []string{
			"+" + manager + pod + ".containers[0].args[6]=--otlp-endpoint=https://collector.example.com/v1",
			"+NetworkPolicy vpcmirror-manager.spec.egress[3].ports[0].port=443", "+NetworkPolicy vpcmirror-manager.spec.egress[3].ports[0].protocol=TCP",
			"+NetworkPolicy vpcmirror-manager.spec.egress[4].ports[0].port=1",
		}},
		{"{credentials: {source: metadata}, networkPolicy: {metadataService: {cidrs: [192.0.2.7/32]}}}", []string{
			"+" + manager + pod + ".containers[0].args[6]=--own-credentials=metadata",
			"+NetworkPolicy vpcmirror-manager.spec.egress[3].ports[0].port=80", "+NetworkPolicy vpcmirror-manager.spec.egress[3].ports[0].protocol=TCP",
			"+NetworkPolicy vpcmirror-manager.spec.egress[3].to[0].ipBlock.cidr=192.0.2.7/32",
		}},
		{"{credentials: {source: podIdentity}, networkPolicy: {metadataService: {cidrs: [192.0.2.7/32]}}}", []string{
			"+" + manager + pod + ".containers[0].args[6]=--own-credentials=podIdentity",
		}},
		{"log: {level: 2}", []string{
			"+" + verifier + pod + ".containers[0].args[3]=--log-level=2", "-" + verifier + pod + ".containers[0].args[3]=--log-level=info",
			"+" + manager + pod + ".containers[0].args[4]=--log-level=2", "-" + manager + pod + ".containers[0].args[4]=--log-level=info",
		}},
		{"enabled: true", nil},
	} {
		t.Run(row.values, func(t *testing.T) {
			got := changes(before, flat(t, installation(t, row.values)))
			slices.Sort(row.want)
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("what changes (-want +got):\n%s", diff)
			}
		})
	}
}

// installation is all that the chart gives, with the pod of helm test.
func installation(t *testing.T, values string) []*unstructured.Unstructured {
	t.Helper()
	out, err := template(t, values)
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, out)
}

// spreads are the lines of topology spread constraints in place of those that the chart has.
func spreads(before map[string]string, manager string, one map[string]string) []string {
	prefix := manager + ".spec.template.spec.topologySpreadConstraints["
	var lines []string
	for name, value := range one {
		lines = append(lines, "+"+prefix+"0]."+name+"="+value)
	}
	for path, value := range before {
		if strings.HasPrefix(path, prefix) && path+"="+value != prefix+"0].maxSkew=2" {
			lines = append(lines, "-"+path+"="+value)
		}
	}
	return lines
}

// flat has a line for every value of every object: the object's kind and name, the path, and the value.
func flat(t *testing.T, all []*unstructured.Unstructured) map[string]string {
	t.Helper()
	lines := map[string]string{}
	for _, u := range all {
		into(lines, u.GetKind()+" "+u.GetName(), u.Object)
	}
	return lines
}

func into(lines map[string]string, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, child := range v {
			into(lines, path+"."+name, child)
		}
		if len(v) > 0 {
			return
		}
	case []any:
		for i, child := range v {
			into(lines, fmt.Sprintf("%s[%d]", path, i), child)
		}
		if len(v) > 0 {
			return
		}
	case string:
		lines[path] = v
		return
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // it came from JSON
	}
	lines[path] = string(text)
}

// changes are the lines that went, with "-", and that came, with "+".
func changes(before, after map[string]string) []string {
	var lines []string
	for path, value := range before {
		if now, has := after[path]; !has || now != value {
			lines = append(lines, "-"+path+"="+value)
		}
	}
	for path, value := range after {
		if was, had := before[path]; !had || was != value {
			lines = append(lines, "+"+path+"="+value)
		}
	}
	slices.Sort(lines)
	return lines
}

func TestCommonLabelsAreOnEveryObjectAndPodAndSelectNothing(t *testing.T) {
	const everything = "monitoring: {secure: true, tokenSecret: {name: t}, serviceMonitor: {enabled: true}, podMonitor: {enabled: true}, rules: {enabled: true}, dashboards: {enabled: true}}"
	before := installation(t, everything)
	after := installation(t, "commonLabels: {team: net}\n"+everything)
	var want []string
	for _, u := range before {
		want = append(want, "+"+u.GetKind()+" "+u.GetName()+".metadata.labels.team=net")
		if _, has, _ := unstructured.NestedMap(u.Object, "spec", "template", "metadata"); has {
			want = append(want, "+"+u.GetKind()+" "+u.GetName()+".spec.template.metadata.labels.team=net")
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, changes(flat(t, before), flat(t, after))); diff != "" {
		t.Errorf("what changes (-want +got):\n%s", diff)
	}
}

func TestALabelOfItsOwnGoesBeforeACommonOne(t *testing.T) {
	values := "{commonLabels: {team: net, release: none}, manager: {podLabels: {team: cloud}}, monitoring: {" +
		"serviceMonitor: {enabled: true, labels: {release: prometheus}}, podMonitor: {enabled: true, labels: {release: prometheus}}, " +
		"rules: {enabled: true, labels: {release: prometheus}}, dashboards: {enabled: true, labels: {release: prometheus}}}}"
	got := map[string]map[string]string{}
	for _, u := range installation(t, values) {
		labels := map[string]string{"team": u.GetLabels()["team"], "release": u.GetLabels()["release"]}
		if pod, has, _ := unstructured.NestedStringMap(u.Object, "spec", "template", "metadata", "labels"); has {
			labels = map[string]string{"team": pod["team"], "release": pod["release"]}
		}
		if labels["team"] != "net" || labels["release"] != "none" {
			got[u.GetKind()] = labels
		}
	}
	want := map[string]map[string]string{"Deployment": {"team": "cloud", "release": "none"}}
	for _, kind := range []string{"ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap"} {
		want[kind] = map[string]string{"team": "net", "release": "prometheus"}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("labels that are not the common ones (-want +got):\n%s", diff)
	}
}

// What the schema lets through and a template refuses: the whole sentence.
func TestWhatIsRefusedHasOneSentenceThatNamesValueAndRemedy(t *testing.T) {
	for values, want := range map[string]string{
		"image: {pullSecrets: [registry, other]}": "image.pullSecrets has become imagePullSecrets, at the top of the values: " +
			"write imagePullSecrets: [{name: registry}, {name: other}]",
		"global: {imagePullSecret: [a]}": "global.imagePullSecret means nothing to this chart: global has imageRegistry and imagePullSecrets " +
			"(other keys are passed over only in a chart of charts, where they are for others)",
		"enabled: false": "enabled: false is for a chart of charts, with condition: vpcmirror.enabled in its dependencies: " +
			"to remove this release use helm uninstall",
		"monitoring: {secure: true, serviceMonitor: {enabled: true}}": "monitoring.secure: with a ServiceMonitor or a PodMonitor set monitoring.tokenSecret.name too: " +
			"a Secret in the release's namespace with the token of somebody who is bound to the ClusterRole vpcmirror-metrics-reader",
		"monitoring: {sessionMetrics: 'off', rules: {enabled: true}}": "monitoring.rules: the alerts are made of what monitoring.sessionMetrics: off leaves out: " +
			"write sessionMetrics: auto, all or troubled, or leave the rules out",
		"monitoring: {certSecret: tls}": "monitoring.certSecret is for monitoring.secure: set that to true too, or leave the Secret out",
		"monitoring: {secure: true, podMonitor: {enabled: true}}": "monitoring.secure: with a ServiceMonitor or a PodMonitor set monitoring.tokenSecret.name too: " +
			"a Secret in the release's namespace with the token of somebody who is bound to the ClusterRole vpcmirror-metrics-reader",
	} {
		t.Run(values, func(t *testing.T) {
			_, err := template(t, values)
			if err == nil {
				t.Fatal("it was accepted")
			}
			if !strings.Contains(err.Error(), ": "+want+"\n") {
				t.Errorf("the complaint is not %q:\n%v", want, err)
			}
		})
	}
}

// A parent chart hands its global to all of its charts, and keys there are for others too.
func TestInAChartOfChartsGlobalKeysOfOthersArePassedOver(t *testing.T) {
	parent := t.TempDir()
	chart, err := filepath.Abs(filepath.Join(root, "config/chart"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, parent, map[string]string{"Chart.yaml": "apiVersion: v2\nname: parent\nversion: 1.0.0\n" +
		"dependencies: [{name: vpcmirror, version: '>=0-0', repository: 'file://" + chart + "', condition: vpcmirror.enabled}]\n"})
	if said, err := helm(t, "", "dependency", "update", parent); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	render := func(values string) map[string]string {
		out, err := helm(t, values, "template", "vpcmirror", parent, "--namespace", namespace, "--values", "-")
		if err != nil {
			t.Fatal(err)
		}
		return flat(t, objects(t, out))
	}
	alone := func(values string) map[string]string { return flat(t, installation(t, values)) }
	const own = "global: {imageRegistry: registry.example.com, imagePullSecrets: [a]}"
	if diff := cmp.Diff(alone(own), render("global: {storageClass: fast, imageRegistry: registry.example.com, imagePullSecrets: [a]}")); diff != "" {
		t.Errorf("by itself (-) and in a chart of charts (+):\n%s", diff)
	}
	if got := slices.Collect(maps.Keys(render("vpcmirror: {enabled: false}"))); len(got) != 0 {
		t.Errorf("switched off, it still gives %v", got)
	}
}

func TestSecureMetricsReachTheProgramsTheMonitorsAndTheReaders(t *testing.T) {
	const plain = "monitoring: {serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}"
	const secure = "monitoring: {secure: true, tokenSecret: {name: reader, key: t}, serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}"
	var got []string
	for _, line := range changes(flat(t, installation(t, plain)), flat(t, installation(t, secure))) {
		// The arguments behind the new one move on, and a role has many lines.
		if !strings.Contains(line, ".args[") && !strings.HasPrefix(line, "+ClusterRole") {
			got = append(got, line)
		}
	}
	var want []string
	for _, monitor := range []string{"PodMonitor vpcmirror-verifier.spec.podMetricsEndpoints[0]", "ServiceMonitor vpcmirror-manager.spec.endpoints[0]"} {
		want = append(want, "+"+monitor+".authorization.credentials.key=t", "+"+monitor+".authorization.credentials.name=reader",
			"+"+monitor+".scheme=https", "+"+monitor+".tlsConfig.insecureSkipVerify=true")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what changes (-want +got):\n%s", diff)
	}
	for _, args := range [][]string{
		manager(t, secure).Spec.Template.Spec.Containers[0].Args, verifier(t, secure).Spec.Template.Spec.Containers[0].Args,
	} {
		if !slices.Contains(args, "--metrics-secure") {
			t.Errorf("no --metrics-secure among %v", args)
		}
	}
	for _, name := range []string{"ClusterRole vpcmirror-metrics-reader", "ClusterRoleBinding vpcmirror-metrics-auth"} {
		if !slices.Contains(identities(rendered(t, secure)), name) {
			t.Errorf("there is no %s", name)
		}
	}
}

func TestACertificateOfASecretIsServedByBothProgramsAndCheckedAsTheMonitorsAreTold(t *testing.T) {
	const before = "monitoring: {secure: true, tokenSecret: {name: reader}, serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}"
	const after = "monitoring: {secure: true, certSecret: tls, tlsConfig: {insecureSkipVerify: false, serverName: metrics}, tokenSecret: {name: reader}, " +
		"serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}"
	var got []string
	for _, line := range changes(flat(t, installation(t, before)), flat(t, installation(t, after))) {
		if !strings.Contains(line, ".args[") { // those behind the new one move on
			got = append(got, line)
		}
	}
	var want []string
	for _, workload := range []string{"DaemonSet vpcmirror-verifier", "Deployment vpcmirror-manager"} {
		pod := "+" + workload + ".spec.template.spec"
		want = append(want, pod+".containers[0].volumeMounts[0].mountPath=/etc/vpcmirror/metrics-tls", pod+".containers[0].volumeMounts[0].name=metrics-tls",
			pod+".containers[0].volumeMounts[0].readOnly=true", pod+".volumes[0].name=metrics-tls", pod+".volumes[0].secret.secretName=tls")
	}
	for _, monitor := range []string{"PodMonitor vpcmirror-verifier.spec.podMetricsEndpoints[0]", "ServiceMonitor vpcmirror-manager.spec.endpoints[0]"} {
		want = append(want, "+"+monitor+".tlsConfig.insecureSkipVerify=false", "+"+monitor+".tlsConfig.serverName=metrics",
			"-"+monitor+".tlsConfig.insecureSkipVerify=true")
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what changes (-want +got):\n%s", diff)
	}
	for _, args := range [][]string{
		manager(t, after).Spec.Template.Spec.Containers[0].Args, verifier(t, after).Spec.Template.Spec.Containers[0].Args,
	} {
		if !slices.Contains(args, "--metrics-cert-dir=/etc/vpcmirror/metrics-tls") {
			t.Errorf("no --metrics-cert-dir among %v", args)
		}
	}
}

func TestOnlyProgramsThatRunMayAskWhoAReaderIs(t *testing.T) {
	all := rendered(t, "{monitoring: {secure: true}, verifier: {enabled: false}}")
	subjects, _, err := unstructured.NestedSlice(find(t, all, "ClusterRoleBinding", "vpcmirror-metrics-auth").Object, "subjects")
	if err != nil {
		t.Fatal(err)
	}
	want := []any{map[string]any{"kind": "ServiceAccount", "name": "vpcmirror-manager", "namespace": namespace}}
	if diff := cmp.Diff(want, subjects); diff != "" {
		t.Errorf("who may (-want +got):\n%s", diff)
	}
}
