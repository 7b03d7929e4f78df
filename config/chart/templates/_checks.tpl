{{/* What the schema can't say in a sentence; takes the root. Every object's labels ask for it, so that it comes before whatever
else would go wrong with such values. */}}
{{- define "vpcmirror.checked" -}}
{{- $values := .Values -}}
{{- /* The key that is newest. */ -}}
{{- if not (hasKey $values "tracing") -}}
{{- fail "these values lack what this version of the chart has new, as with `helm upgrade --reuse-values`: use --reset-then-reuse-values in its place (image.pullSecrets: [a] has become imagePullSecrets: [{name: a}])" -}}
{{- end -}}
{{- include "vpcmirror.noNull" (list $values (.Files.Get "files/values.yaml" | fromYaml) "") -}}
{{- with $values.image.pullSecrets -}}
{{- $new := list -}}
{{- range . }}{{ $new = append $new (printf "{name: %v}" .) }}{{ end -}}
{{- fail (printf "image.pullSecrets has become imagePullSecrets, at the top of the values: write imagePullSecrets: [%s]" (join ", " $new)) -}}
{{- end -}}
{{- with $values.credentials -}}
{{- if and (eq .source "file") (not .existingSecret) -}}
{{- fail "credentials.source: file reads the files of a Secret: name it in credentials.existingSecret" -}}
{{- end -}}
{{- if and .existingSecret (not (has .source (list "environment" "file"))) -}}
{{- fail (printf "credentials.source: %s gets keys by itself: leave credentials.existingSecret out, or write source: file" .source) -}}
{{- end -}}
{{- end -}}
{{- with $values.monitoring -}}
{{- if and .certSecret (not .secure) -}}
{{- fail "monitoring.certSecret is for monitoring.secure: set that to true too, or leave the Secret out" -}}
{{- end -}}
{{- if and .rules.enabled (eq .sessionMetrics "off") -}}
{{- fail "monitoring.rules: the alerts are made of what monitoring.sessionMetrics: off leaves out: write sessionMetrics: auto, all or troubled, or leave the rules out" -}}
{{- end -}}
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

{{/* Helm takes a value that is null away, with its default, before the schema sees it. Within what has the fields that Kubernetes
documents that is what null is for. Takes values, their defaults, and the path to them with a dot at its end. */}}
{{- define "vpcmirror.noNull" -}}
{{- $values := index . 0 -}}
{{- $path := index . 2 -}}
{{- range $name, $default := index . 1 -}}
{{- if kindIs "invalid" (index $values $name) -}}
{{- $nothing := "" -}}
{{- if kindIs "map" $default }}{{ $nothing = ", or write {}" }}{{ end -}}
{{- if kindIs "slice" $default }}{{ $nothing = ", or write []" }}{{ end -}}
{{- if kindIs "string" $default }}{{ $nothing = ", or write \"\"" }}{{ end -}}
{{- fail (printf "%s%s has no value, as where it is null or with `helm upgrade --reuse-values`: leave it out to have its default%s" $path $name $nothing) -}}
{{- end -}}
{{- if and (kindIs "map" $default) (not (has $name (list "resources" "affinity" "nodeSelector" "strategy" "labels" "tlsConfig"))) -}}
{{- include "vpcmirror.noNull" (list (index $values $name) $default (printf "%s%s." $path $name)) -}}
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
