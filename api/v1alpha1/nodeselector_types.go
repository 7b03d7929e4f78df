package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// NodeSelector selects nodes of the cluster by their labels. It is written and works as every
// label selector in Kubernetes, and each part of it has a bound; all requirements must hold.
// +kubebuilder:validation:XValidation:rule="(has(self.matchLabels) && self.matchLabels.size() > 0) || (has(self.matchExpressions) && self.matchExpressions.size() > 0)",message="nodeSelector is empty, which would be every node of the cluster: name a label in matchLabels or matchExpressions; where every node is meant, write matchExpressions: [{key: kubernetes.io/hostname, operator: Exists}]"
type NodeSelector struct {
	// matchLabels are labels that a node must have, with these values; at most 8.
	// +kubebuilder:validation:MaxProperties=12
	// +kubebuilder:validation:XValidation:rule="self.size() <= 8",message="matchLabels has more than 8 labels: a few select the same nodes, so keep those",messageExpression="'matchLabels has %d labels and takes 8: a few select the same nodes, so keep those'.format([self.size()])"
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[^\\\\W_]([\\\\w.-]{0,61}[^\\\\W_])?$'))",message="matchLabels has a key that no label can have: write it as kubectl describe node shows it",messageExpression="'matchLabels has the key \"' + self.filter(k, !k.matches('^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[^\\\\W_]([\\\\w.-]{0,61}[^\\\\W_])?$'))[0] + '\", which no label can have: write it as kubectl describe node shows it'"
	// +kubebuilder:validation:XValidation:rule="self.all(k, self[k].matches('^([^\\\\W_]([\\\\w.-]{0,61}[^\\\\W_])?)?$'))",message="matchLabels has a value that no label can have: write it as kubectl describe node shows it",messageExpression="'matchLabels has the value \"' + self[self.filter(k, !self[k].matches('^([^\\\\W_]([\\\\w.-]{0,61}[^\\\\W_])?)?$'))[0]] + '\", which no label can have: write it as kubectl describe node shows it'"
	// +optional
	MatchLabels map[string]NodeLabelValue `json:"matchLabels,omitempty"`

	// matchExpressions are further requirements, at most 6.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="self.size() <= 6",message="matchExpressions has more than 6 requirements: name several values in one requirement",messageExpression="'matchExpressions has %d requirements and takes 6: name several values in one requirement'.format([self.size()])"
	// +optional
	MatchExpressions []NodeRequirement `json:"matchExpressions,omitempty"`
}

// NodeLabelValue is the value of a label.
// +kubebuilder:validation:MaxLength=72
type NodeLabelValue string

// NodeRequirement is what one label of a node must be like.
// +kubebuilder:validation:XValidation:rule="!(self.operator in ['In', 'NotIn']) || (has(self.values) && self.values.size() > 0)",message="In and NotIn need values: name at least one",messageExpression="'operator ' + self.operator + ' needs values: name at least one'"
// +kubebuilder:validation:XValidation:rule="!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || self.values.size() == 0",message="Exists and DoesNotExist take no values: leave values out, or write In or NotIn",messageExpression="'operator ' + self.operator + ' takes no values: leave values out, or write In or NotIn'"
type NodeRequirement struct {
	// key of the label.
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[^\\\\W_]([\\\\w.-]{0,61}[^\\\\W_])?$')",message="no label has such a key: write it as kubectl describe node shows it",messageExpression="'key is \"' + self + '\", which no label can have: write it as kubectl describe node shows it'"
	// +kubebuilder:validation:MaxLength=400
	// +required
	Key string `json:"key"`

	// operator is In or NotIn (the label has one, or none, of values), Exists or DoesNotExist.
	// A node without the label fits NotIn.
	// +kubebuilder:validation:XValidation:rule="self in ['In', 'NotIn', 'Exists', 'DoesNotExist']",message="operator must be In, NotIn, Exists or DoesNotExist",messageExpression="'operator is \"' + self + '\": write In, NotIn, Exists or DoesNotExist'"
	// +kubebuilder:validation:MaxLength=64
	// +required
	Operator string `json:"operator"`

	// values of the label, at most 12; for In and NotIn.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.size() <= 12",message="values has more than 12 values: give the nodes that are meant a label of their own",messageExpression="'values has %d values and takes 12: give the nodes that are meant a label of their own'.format([self.size()])"
	// +kubebuilder:validation:XValidation:rule="self.all(v, v.matches('^([^\\\\W_]([\\\\w.-]{0,61}[^\\\\W_])?)?$'))",message="no label has such a value: write it as kubectl describe node shows it",messageExpression="'values has \"' + self.filter(v, !v.matches('^([^\\\\W_]([\\\\w.-]{0,61}[^\\\\W_])?)?$'))[0] + '\", which no label can have: write it as kubectl describe node shows it'"
	// +optional
	Values []NodeLabelValue `json:"values,omitempty"`
}

// Meta returns the selector as Kubernetes' own type.
func (s *NodeSelector) Meta() *metav1.LabelSelector {
	out := &metav1.LabelSelector{}
	for key, value := range s.MatchLabels {
		metav1.AddLabelToSelector(out, key, string(value))
	}
	for _, r := range s.MatchExpressions {
		is := metav1.LabelSelectorRequirement{Key: r.Key, Operator: metav1.LabelSelectorOperator(r.Operator)}
		for _, v := range r.Values {
			is.Values = append(is.Values, string(v))
		}
		out.MatchExpressions = append(out.MatchExpressions, is)
	}
	return out
}

// Selector returns what matches a node's labels. One that no label can fulfil, as an API server
// without our definitions may have stored it, gives an error; an empty one matches nothing.
func (s *NodeSelector) Selector() (labels.Selector, error) {
	if len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		return labels.Nothing(), nil
	}
	return metav1.LabelSelectorAsSelector(s.Meta())
}

// String is the selector as kubectl takes it, such as pool=web,zone in (a,b): equal ones are
// written alike.
func (s *NodeSelector) String() string {
	is, err := s.Selector()
	if err != nil {
		return "one that no node can fit"
	}
	return is.String() // its requirements are sorted
}
