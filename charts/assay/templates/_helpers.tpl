{{- define "assay.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* The release's name alone where it already says assay. At most 52 characters, so that every suffix fits into 63. */ -}}
{{- define "assay.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "assay.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "assay.selectorLabels" -}}
app.kubernetes.io/name: {{ include "assay.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- /* Labels of every object. They never hold `managed-by: assay`, which marks what the operator itself keeps. */ -}}
{{- define "assay.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{ include "assay.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: assay
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "assay.serviceAccountName" -}}
{{- default (include "assay.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- /* The user name under which the API server knows the operator. */ -}}
{{- define "assay.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "assay.serviceAccountName" . }}
{{- end -}}

{{- define "assay.image" -}}
{{- $registry := (.Values.global).imageRegistry | default "" | trimSuffix "/" -}}
{{- $repository := ternary (printf "%s/%s" $registry .Values.image.repository) .Values.image.repository (ne $registry "") -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "assay.scorerImage" -}}
{{- default (include "assay.image" .) .Values.scorer.image -}}
{{- end -}}

{{- /* A CEL list literal of the user names of Kubernetes' own controllers.

kube-controller-manager acts as one service account a controller where it runs with --use-service-account-credentials, as kubeadm
and every managed control plane do, and as system:kube-controller-manager where it does not. */ -}}
{{- define "assay.celSystemUsers" -}}
{{- $users := list
  "system:serviceaccount:kube-system:generic-garbage-collector"
  "system:serviceaccount:kube-system:namespace-controller"
  "system:kube-controller-manager" -}}
{{- concat $users .Values.admissionPolicies.extraSystemUsers | uniq | toJson -}}
{{- end -}}
