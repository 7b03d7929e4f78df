{{/* What the schema can't say in a sentence; takes the root. Every object's labels ask for it, so that it comes before whatever
else would go wrong with such values. */}}
{{- define "vpcmirror.checked" -}}
{{- $values := .Values -}}
{{- /* The key that is newest. */ -}}
{{- if not (hasKey $values "tracing") -}}
{{- fail "these values lack what this version of the chart has new, as with `helm upgrade --reuse-values`: use --reset-then-reuse-values in its place (image.pullSecrets: [a] has become imagePullSecrets: [{name: a}])" -}}
{{- end -}}
{{- with $values.image.pullSecrets -}}
{{- $new := list -}}
{{- range . }}{{ $new = append $new (printf "{name: %v}" .) }}{{ end -}}
{{- fail (printf "image.pullSecrets has become imagePullSecrets, at the top of the values: write imagePullSecrets: [%s]" (join ", " $new)) -}}
{{- end -}}
{{- if .Chart.IsRoot -}}
{{- range $name, $_ := omit $values.global "imageRegistry" "imagePullSecrets" -}}
{{- fail (printf "global.%s means nothing to this chart: global has imageRegistry and imagePullSecrets (other keys are passed over only in a chart of charts, where they are for others)" $name) -}}
{{- end -}}
{{- if not $values.enabled -}}
{{- fail "enabled: false is for a chart of charts, with condition: vpcmirror.enabled in its dependencies: to remove this release use helm uninstall" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Two managers would work against each other on the same objects; takes the root. Only where there is a cluster to ask. */}}
{{- define "vpcmirror.onlyInstallation" -}}
{{- $binding := lookup "rbac.authorization.k8s.io/v1" "ClusterRoleBinding" "" "vpcmirror-manager" -}}
{{- if $binding -}}
{{- $release := index ($binding.metadata.annotations | default dict) "meta.helm.sh/release-name" | default "" -}}
{{- $namespace := (first ($binding.subjects | default (list dict))).namespace | default .Release.Namespace -}}
{{- if or (ne $namespace .Release.Namespace) (and $release (ne $release .Release.Name)) -}}
{{- $by := ternary (printf "by Helm as the release %s" $release) "without Helm" (ne $release "") -}}
{{- fail (printf "vpcmirror is in this cluster already, %s in the namespace %s, and a second manager would work against it on the same objects: upgrade that one, or uninstall it first (MirrorFilters and MirrorSessions can stay)" $by $namespace) -}}
{{- end -}}
{{- end -}}
{{- end }}
