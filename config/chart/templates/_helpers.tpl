{{/* Labels by which pods are selected; takes the component. They never change. */}}
{{- define "vpcmirror.selector" -}}
app.kubernetes.io/name: vpcmirror
app.kubernetes.io/component: {{ . }}
{{- end }}

{{/* Labels of every object; takes the component and the root. */}}
{{- define "vpcmirror.labels" -}}
{{ include "vpcmirror.selector" (index . 0) }}
app.kubernetes.io/part-of: vpcmirror
app.kubernetes.io/version: {{ (index . 1).Chart.AppVersion | quote }}
{{- end }}

{{/* The image of a program: its own override, or made of image; takes its name and the root. */}}
{{- define "vpcmirror.image" -}}
{{- $program := index . 0 -}}
{{- $values := (index . 1).Values -}}
{{- with (index $values $program).image -}}
{{ . }}
{{- else -}}
{{ $values.image.repository }}/{{ $program }}:{{ $values.image.tag | default (index . 1).Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* imagePullSecrets of a pod; takes the root. */}}
{{- define "vpcmirror.pullSecrets" -}}
{{- with .Values.image.pullSecrets -}}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
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

{{/* The operator's own credentials as variables; takes the name of the Secret. */}}
{{- define "vpcmirror.credentials" -}}
{{ include "vpcmirror.fromSecret" (list "HUAWEICLOUD_SDK_AK" . "accessKey" false) }}
{{ include "vpcmirror.fromSecret" (list "HUAWEICLOUD_SDK_SK" . "secretKey" false) }}
{{ include "vpcmirror.fromSecret" (list "HUAWEICLOUD_SDK_SECURITY_TOKEN" . "securityToken" true) }}
{{ include "vpcmirror.fromSecret" (list "HUAWEICLOUD_SDK_PROJECT_ID" . "projectID" true) }}
{{ include "vpcmirror.fromSecret" (list "VPCMIRROR_REGION" . "region" true) }}
{{ include "vpcmirror.fromSecret" (list "VPCMIRROR_ENDPOINT" . "endpoint" true) }}
{{ include "vpcmirror.fromSecret" (list "VPCMIRROR_IAM_ENDPOINT" . "iamEndpoint" true) }}
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
{{- range $name := list "priorityClassName" "nodeSelector" "tolerations" "affinity" }}
{{- with index $values $name }}
{{- $_ := set $fields $name . }}
{{- end }}
{{- end }}
{{- with $fields }}
{{- toYaml . }}
{{- end }}
{{- end }}
