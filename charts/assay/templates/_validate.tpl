{{- /* What the schema cannot say: rules across fields. Every message names the key and the remedy. */ -}}
{{- define "assay.validate" -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) -}}
{{- fail "serviceAccount.create is false and serviceAccount.name is empty: name the ServiceAccount that exists, or let the chart create one (serviceAccount.create=true)" -}}
{{- end -}}
{{- if eq (int .Values.ports.metrics) (int .Values.ports.health) -}}
{{- fail (printf "ports.metrics and ports.health are both %d: give the two servers two ports, e.g. ports.metrics=8080 and ports.health=8081" (int .Values.ports.metrics)) -}}
{{- end -}}
{{- if and .Values.fullnameOverride (gt (len .Values.fullnameOverride) 52) -}}
{{- fail (printf "fullnameOverride has %d characters: use at most 52, because the chart appends suffixes such as -admin and names end at 63" (len .Values.fullnameOverride)) -}}
{{- end -}}
{{- range $values := list "commonLabels" "podLabels" -}}
{{- range $label, $_ := index $.Values $values -}}
{{- if or (hasPrefix "app.kubernetes.io/" $label) (hasPrefix "helm.sh/" $label) (hasPrefix "assay.dev/" $label) -}}
{{- fail (printf "%s holds %s, which the chart sets itself: use a label with a prefix of your own" $values $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.podDisruptionBudget.enabled (has (toString .Values.podDisruptionBudget.maxUnavailable) (list "0" "0%")) -}}
{{- fail "podDisruptionBudget.maxUnavailable is 0: no node with the operator could ever be drained; use 1, or podDisruptionBudget.enabled=false" -}}
{{- end -}}
{{- range $arg := .Values.extraArgs -}}
{{- range $flag := list "--metrics-port" "--health-port" "--cluster-domain" "--log-level" "--lease-name" "--namespace" "--identity" "--scorer-image" "--triton-image" -}}
{{- if or (eq $arg $flag) (hasPrefix (printf "%s=" $flag) $arg) -}}
{{- fail (printf "extraArgs holds %s, which the chart sets itself: use ports.metrics, ports.health, clusterDomain, logLevel, scorer.image or triton.image instead" $arg) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $env := .Values.extraEnv -}}
{{- if has $env.name (list "POD_NAME" "POD_NAMESPACE" "ASSAY_SCORER_IMAGE" "ASSAY_TRITON_IMAGE") -}}
{{- fail (printf "extraEnv holds %s, which the chart sets itself: use scorer.image or triton.image, and leave the pod's own name to the chart" $env.name) -}}
{{- end -}}
{{- end -}}
{{- if and (.Values.serviceMonitor).enabled (.Values.podMonitor).enabled -}}
{{- fail "serviceMonitor.enabled and podMonitor.enabled are both true: every series of the operator would be scraped twice; set one of them to false" -}}
{{- end -}}
{{- $alerts := list -}}
{{- range $group := (.Files.Get "rules/assay.yaml" | fromYaml).groups -}}
{{- range $rule := $group.rules -}}
{{- $alerts = append $alerts $rule.alert -}}
{{- end -}}
{{- end -}}
{{- range $alert := (.Values.prometheusRule).disabled -}}
{{- if not (has $alert $alerts) -}}
{{- fail (printf "prometheusRule.disabled holds %s, which is no alert of this chart: use names of rules/assay.yaml (%s)" $alert (join ", " $alerts)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
