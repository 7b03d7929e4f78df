{{/* Labels by which pods are selected; takes the component. They never change. */}}
{{- define "vpcmirror.selector" -}}
app.kubernetes.io/name: vpcmirror
app.kubernetes.io/component: {{ . }}
{{- end }}

{{/* Labels of every object; takes the component, the root and, for an object that has labels of its own in the values, these:
they go before commonLabels. */}}
{{- define "vpcmirror.labels" -}}
{{- include "vpcmirror.checked" (index . 1) -}}
{{ include "vpcmirror.selector" (index . 0) }}
app.kubernetes.io/part-of: vpcmirror
app.kubernetes.io/version: {{ (index . 1).Chart.AppVersion | quote }}
{{- $own := dict -}}
{{- if gt (len .) 2 }}{{ $own = index . 2 }}{{ end }}
{{- with merge (deepCopy $own) (index . 1).Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels of what belongs to no component; takes the root. */}}
{{- define "vpcmirror.partOf" -}}
app.kubernetes.io/part-of: vpcmirror
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The image of a program: its own override, or made of image, and either from the registry of global where there is one;
takes its name and the root. */}}
{{- define "vpcmirror.image" -}}
{{- $program := index . 0 -}}
{{- $values := (index . 1).Values -}}
{{- $image := (index $values $program).image | default (printf "%s/%s:%s" $values.image.repository $program ($values.image.tag | default (index . 1).Chart.AppVersion)) -}}
{{- with $values.global.imageRegistry -}}
{{- $image = printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^(localhost|[^/]*[.:][^/]*)/" $image "") -}}
{{- end -}}
{{ $image }}
{{- end }}

{{/* imagePullSecrets of a pod; takes the root. Some charts have names of Secrets in global.imagePullSecrets, some references. */}}
{{- define "vpcmirror.pullSecrets" -}}
{{- $secrets := list -}}
{{- range concat .Values.global.imagePullSecrets .Values.imagePullSecrets -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with uniq $secrets -}}
imagePullSecrets:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A context of security: what the chart sets, and in its place what the values say; takes both. */}}
{{- define "vpcmirror.securityContext" -}}
securityContext:
{{- toYaml (mergeOverwrite (fromYaml (index . 0)) (deepCopy (index . 1))) | nindent 2 }}
{{- end }}

{{/* A variable from a key of a Secret; takes the variable, the Secret, the key, and whether
the key may be missing. */}}
{{- define "vpcmirror.fromSecret" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 | quote }}
      key: {{ index . 2 }}
      {{- if index . 3 }}
      optional: true
      {{- end }}
{{- end }}

{{/* How the metrics are served, as arguments; takes the root. */}}
{{- define "vpcmirror.secureMetrics" -}}
{{- with .Values.monitoring -}}
{{- if .secure -}}
- --metrics-secure
{{- if .certSecret }}
- --metrics-cert-dir=/etc/vpcmirror/metrics-tls
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* What both programs have mounted; takes the root. */}}
{{- define "vpcmirror.volumeMounts" -}}
{{- if .Values.monitoring.certSecret -}}
- name: metrics-tls
  mountPath: /etc/vpcmirror/metrics-tls
  readOnly: true
{{- end }}
{{- end }}

{{/* The volumes of that; takes the root. */}}
{{- define "vpcmirror.volumes" -}}
{{- with .Values.monitoring.certSecret -}}
- name: metrics-tls
  secret:
    secretName: {{ . | quote }}
{{- end }}
{{- end }}

{{/* The operator's own credentials as variables; takes the name of the Secret. */}}
{{- define "vpcmirror.credentials" -}}
{{ include "vpcmirror.fromSecret" (list "HUAWEICLOUD_SDK_AK" . "accessKey" false) }}
{{ include "vpcmirror.fromSecret" (list "HUAWEICLOUD_SDK_SK" . "secretKey" false) }}
{{ include "vpcmirror.fromSecret" (list "HUAWEICLOUD_SDK_SECURITY_TOKEN" . "securityToken" true) }}
{{ include "vpcmirror.fromSecret" (list "HUAWEICLOUD_SDK_PROJECT_ID" . "projectID" true) }}
{{ include "vpcmirror.fromSecret" (list "VPCMIRROR_REGION" . "region" true) }}
{{ include "vpcmirror.fromSecret" (list "VPCMIRROR_ENDPOINT" . "endpoint" true) }}
{{ include "vpcmirror.fromSecret" (list "VPCMIRROR_IAM_ENDPOINT" . "iamEndpoint" true) }}
{{ include "vpcmirror.fromSecret" (list "VPCMIRROR_AGENCY_NAME" . "agencyName" true) }}
{{ include "vpcmirror.fromSecret" (list "VPCMIRROR_AGENCY_DOMAIN" . "agencyDomain" true) }}
{{- end }}

{{/* Peers of an egress rule from a list of networks. */}}
{{- define "vpcmirror.to" -}}
{{- with . -}}
to:
{{- range . }}
  - ipBlock:
      cidr: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* The scheduling of a pod, without the fields that are empty; takes a program's values. */}}
{{- define "vpcmirror.scheduling" -}}
{{- $values := . }}
{{- $fields := dict }}
{{- range $name := list "priorityClassName" "nodeSelector" "tolerations" "affinity" "hostAliases" "dnsConfig" }}
{{- with index $values $name }}
{{- $_ := set $fields $name . }}
{{- end }}
{{- end }}
{{- with $fields }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* How an endpoint is scraped; takes the values of a monitor and the root. The labels namespace and session of what is
told are those of a MirrorSession, and stay: those of the target are found in job and instance. */}}
{{- define "vpcmirror.scrape" -}}
{{- $monitor := index . 0 -}}
port: metrics
interval: {{ $monitor.interval }}
scrapeTimeout: {{ $monitor.scrapeTimeout }}
honorLabels: true
{{- with (index . 1).Values.monitoring }}
{{- if .secure }}
{{- if not .tokenSecret.name }}
{{- fail "monitoring.secure: with a ServiceMonitor or a PodMonitor set monitoring.tokenSecret.name too: a Secret in the release's namespace with the token of somebody who is bound to the ClusterRole vpcmirror-metrics-reader" }}
{{- end }}
scheme: https
authorization:
  credentials:
    name: {{ .tokenSecret.name | quote }}
    key: {{ .tokenSecret.key | quote }}
{{- with .tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
{{- with $monitor.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
