{{/* Whether a definition is this release's to make and to upgrade: "yes" or nothing; takes its file and the root.

`helm uninstall` leaves the definitions, because every object of theirs would go with them, and Helm refuses to make what
another release has left. So does it with what came without Helm. A definition that is as it should be is left to whom it
belongs to; another one has to be handed over first, as nothing but its owner's name in it lets Helm change it. Where no
cluster is asked (helm template, Argo CD), it is always given. */}}
{{- define "vpcmirror.definition" -}}
{{- $root := index . 1 -}}
{{- $ours := $root.Files.Get (index . 0) | fromYaml -}}
{{- $live := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" $ours.metadata.name -}}
{{- if $root.Values.crds.install -}}
{{- if not $live -}}
yes
{{- else if eq (include "vpcmirror.owner" $live) (printf "%s in %s" $root.Release.Name $root.Release.Namespace) -}}
yes
{{- else if not (and (eq (toJson $live.spec.versions) (toJson $ours.spec.versions)) (or $root.Release.IsInstall (include "vpcmirror.kept" $live) (include "vpcmirror.neverHelms" $live))) -}}
{{- $owner := include "vpcmirror.owner" $live | default "somebody without Helm" -}}
{{- fail (printf "the definition %s in this cluster is that of %s, and this chart's has to take its place: hand it over, which changes no object of yours, and try again: %s" $ours.metadata.name $owner (include "vpcmirror.adopt" $root)) -}}
{{- end -}}
{{- else if and $live $root.Release.IsUpgrade (not (include "vpcmirror.kept" $live)) (eq (include "vpcmirror.owner" $live) (printf "%s in %s" $root.Release.Name $root.Release.Namespace)) -}}
{{- fail (printf "with crds.install: false Helm would delete the definition %s, and every object of its kind: upgrade with crds.keep: true first" $ours.metadata.name) -}}
{{- end -}}
{{- end }}

{{/* The release to which an object belongs, as "name in namespace", or nothing; takes the object. */}}
{{- define "vpcmirror.owner" -}}
{{- $annotations := .metadata.annotations | default dict -}}
{{- if and (eq (index (.metadata.labels | default dict) "app.kubernetes.io/managed-by" | default "") "Helm") (hasKey $annotations "meta.helm.sh/release-name") -}}
{{ index $annotations "meta.helm.sh/release-name" }} in {{ index $annotations "meta.helm.sh/release-namespace" }}
{{- end -}}
{{- end }}

{{/* Whether no release can have made the object, so that Helm won't delete it where a release gives it no more: not even the
annotations' going can hide that one did, as it stays among who has fields of the object. Takes the object. */}}
{{- define "vpcmirror.neverHelms" -}}
{{- $managers := list -}}
{{- range .metadata.managedFields }}{{ $managers = append $managers .manager }}{{ end -}}
{{- if not (or (hasKey (.metadata.annotations | default dict) "meta.helm.sh/release-name") (not $managers) (contains "helm" (lower (join "," $managers)))) }}yes{{ end -}}
{{- end }}

{{/* Whether Helm leaves the object when it goes from a release; takes the object. */}}
{{- define "vpcmirror.kept" -}}
{{- if eq (index (.metadata.annotations | default dict) "helm.sh/resource-policy" | default "") "keep" }}yes{{ end -}}
{{- end }}

{{/* The commands that hand the definitions over to this release; takes the root. */}}
{{- define "vpcmirror.adopt" -}}
kubectl annotate --overwrite crd mirrorfilters.vpcmirror.io mirrorsessions.vpcmirror.io meta.helm.sh/release-name={{ .Release.Name }} meta.helm.sh/release-namespace={{ .Release.Namespace }} && kubectl label --overwrite crd mirrorfilters.vpcmirror.io mirrorsessions.vpcmirror.io app.kubernetes.io/managed-by=Helm
{{- end }}
