package deploy_test

import (
	"slices"
)

func (r *rules) service(o *object) {
	var labels map[string]string
	if err := o.Spec.Selector.Decode(&labels); err != nil {
		r.wrong("Service %s: its selector: %v", o.Metadata.Name, err)
	}
	for _, w := range r.selects(o, labels) {
		for _, p := range o.Spec.Ports {
			if p.TargetPort == "http" || p.TargetPort == "latchkey-http" {
				r.wrong("Service %s leads to %s, where profiles are", o.Metadata.Name, p.TargetPort)
			}
			if !slices.ContainsFunc(slices.Concat(w.Spec.Template.Spec.InitContainers, w.Spec.Template.Spec.Containers), func(c container) bool { return c.port(p.TargetPort) == p.Port }) {
				r.wrong("Service %s: no container has the port %s as %d", o.Metadata.Name, p.TargetPort, p.Port)
			}
		}
	}
}

// network: sidecars alone, by their pods and by their namespaces, to the hub's port alone.
func (r *rules) network(o *object) {
	r.selects(o, o.Spec.PodSelector.MatchLabels)
	if !slices.Equal(slices.Sorted(slices.Values(o.Spec.PolicyTypes)), []string{"Egress", "Ingress"}) || len(o.Spec.Egress) > 0 {
		r.wrong("NetworkPolicy %s lets pods call others", o.Metadata.Name)
	}
	for _, in := range o.Spec.Ingress {
		for _, p := range in.Ports {
			if p.Port != "hub" {
				r.wrong("NetworkPolicy %s opens the port %s", o.Metadata.Name, p.Port)
			}
		}
		if len(in.Ports) == 0 || len(in.From) == 0 {
			r.wrong("NetworkPolicy %s opens all ports, or to everybody", o.Metadata.Name)
		}
		for _, from := range in.From {
			if len(from.PodSelector.MatchLabels) == 0 || len(from.NamespaceSelector.MatchLabels) == 0 || from.IPBlock != nil {
				r.wrong("NetworkPolicy %s lets in who isn't named by both his pod and his namespace", o.Metadata.Name)
			}
		}
	}
}
