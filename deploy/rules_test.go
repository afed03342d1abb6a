package deploy_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/policyfile"
)

// user is whom the images run as.
const user = 65532

// given are the objects that whoever deploys makes himself, and the files in them.
var given = map[string][]string{
	"latchkey-hub-tls":      {"tls.crt", "tls.key", "ca.crt"},
	"latchkey-follower-tls": {"tls.crt", "tls.key", "ca.crt"},
}

// rules collects what is wrong with the objects of one folder.
type rules struct {
	all      []object
	mistakes []string
}

func (r *rules) wrong(format string, args ...any) {
	r.mistakes = append(r.mistakes, fmt.Sprintf(format, args...))
}

// mistakes returns what is wrong with objects beyond what a schema sees.
func mistakes(all []object) []string {
	r := &rules{all: all}
	for i := range all {
		switch o := &all[i]; o.Kind {
		case "StatefulSet", "Deployment":
			r.workload(o)
		case "Service":
			r.service(o)
		case "PodDisruptionBudget":
			r.selects(o, r.labelSelector(o))
		case "NetworkPolicy":
			r.network(o)
		case "ConfigMap":
			for name, text := range o.Data {
				if _, err := policyfile.Load(name, []byte(text)); o.Metadata.Name == "latchkey-policies" && err != nil {
					r.wrong("ConfigMap %s: %v", o.Metadata.Name, err)
				}
			}
		case "ServiceAccount", "Namespace":
		default:
			r.wrong("%s %s: no rule is about objects of this kind: write one", o.Kind, o.Metadata.Name)
		}
	}
	return r.mistakes
}

func (r *rules) find(kind, name string) *object {
	for i := range r.all {
		if o := &r.all[i]; o.Kind == kind && o.Metadata.Name == name {
			return o
		}
	}
	return nil
}

func (r *rules) labelSelector(o *object) map[string]string {
	var s selector
	if err := o.Spec.Selector.Decode(&s); err != nil {
		r.wrong("%s %s: its selector: %v", o.Kind, o.Metadata.Name, err)
	}
	return s.MatchLabels
}

// selects holds a selector against the pods, and returns those that it hits.
func (r *rules) selects(o *object, labels map[string]string) (hit []*object) {
	for i := range r.all {
		w := &r.all[i]
		if len(labels) > 0 && len(w.Spec.Template.Spec.Containers) > 0 && within(labels, w.Spec.Template.Metadata.Labels) {
			hit = append(hit, w)
		}
	}
	if len(hit) == 0 {
		r.wrong("%s %s selects no pod", o.Kind, o.Metadata.Name)
	}
	return hit
}

// within reports whether some labels are among others.
func within(some, all map[string]string) bool {
	for name, value := range some {
		if all[name] != value {
			return false
		}
	}
	return true
}

func (r *rules) workload(o *object) {
	pod := &o.Spec.Template.Spec
	name := o.Kind + " " + o.Metadata.Name
	if !slices.Contains(r.selects(o, r.labelSelector(o)), o) {
		r.wrong("%s doesn't select its own pods", name)
	}
	if o.Kind == "StatefulSet" {
		if s := r.find("Service", o.Spec.ServiceName); s == nil || s.Spec.ClusterIP != "None" {
			r.wrong("%s: there is no headless Service %s", name, o.Spec.ServiceName)
		}
		if o.Spec.Replicas == nil || *o.Spec.Replicas != 1 {
			r.wrong("%s has more than the one pod that may write", name)
		}
	}
	if pod.Account != "" && r.find("ServiceAccount", pod.Account) == nil {
		r.wrong("%s: there is no ServiceAccount %s", name, pod.Account)
	}
	if pod.Token == nil || *pod.Token {
		r.wrong("%s: its pods get a token of the cluster", name)
	}
	if pod.SecurityContext.Group == nil || *pod.SecurityContext.Group != user {
		r.wrong("%s: its volumes aren't of the group %d", name, user)
	}
	for i := range pod.InitContainers {
		if c := &pod.InitContainers[i]; c.ours() && c.RestartPolicy != "Always" {
			r.wrong("%s: %s isn't a native sidecar", name, c.Name)
		}
	}
	where := "" // the volume and the file in it where our process listens
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		place := name + ": " + c.Name
		r.hardened(place, pod.SecurityContext, &c)
		mounts := r.mounts(o, place, &c)
		switch {
		case c.ours():
			where = r.process(place, &c, mounts)
		case c.flag(configPath) != "":
			r.envoy(place, pod, &c, mounts, where)
		}
	}
}

// hardened: what a container may not do.
func (r *rules) hardened(place string, pod security, c *container) {
	s := c.SecurityContext
	if s.NonRoot == nil {
		s.NonRoot = pod.NonRoot
	}
	if s.User == nil {
		s.User = pod.User
	}
	if s.Seccomp.Type == "" {
		s.Seccomp = pod.Seccomp
	}
	for what, ok := range map[string]bool{
		"runs as another user than that of the image": s.NonRoot != nil && *s.NonRoot && s.User != nil && *s.User > 0 && (!c.ours() || *s.User == user),
		"may gain rights":                         s.Escalation != nil && !*s.Escalation && !s.Privileged,
		"may write to its root":                   s.ReadOnlyRoot != nil && *s.ReadOnlyRoot,
		"has capabilities":                        slices.Equal(s.Capabilities.Drop, []string{"ALL"}) && len(s.Capabilities.Add) == 0,
		"has no seccomp profile":                  s.Seccomp.Type == "RuntimeDefault",
		"has no tag of its image":                 strings.Contains(path.Base(c.Image), ":") && !strings.HasSuffix(c.Image, ":latest"),
		"has no bounds of memory, or one of CPU":  !c.ours() || c.Resources.Limits["memory"] != "" && c.Resources.Requests["memory"] != "" && c.Resources.Requests["cpu"] != "" && c.Resources.Limits["cpu"] == "",
		"has no probes for start, life and ready": !c.ours() || c.Startup != nil && c.Liveness != nil && c.Readiness != nil,
	} {
		if !ok {
			r.wrong("%s %s", place, what)
		}
	}
}

// mount is a folder of a container.
type mount struct {
	at     string
	volume string
	files  []string // in it; nil: it is to be written to
	config *object
}

// mounts holds the mounts of a container against the volumes, and these against ConfigMaps and Secrets.
func (r *rules) mounts(o *object, place string, c *container) (all []mount) {
	for _, m := range c.Mounts {
		one := mount{at: m.Path, volume: m.Name}
		found := slices.ContainsFunc(o.Spec.VolumeClaimTemplates, func(v struct{ Metadata meta }) bool { return v.Metadata.Name == m.Name })
		for _, v := range o.Spec.Template.Spec.Volumes {
			if v.Name != m.Name {
				continue
			}
			found = true
			from := v.ConfigMap.Name + v.Secret.Name
			one.config = r.find("ConfigMap", v.ConfigMap.Name)
			switch {
			case v.EmptyDir != nil:
				if v.EmptyDir.SizeLimit == "" {
					r.wrong("%s: the volume %s has no limit", place, v.Name)
				}
			case one.config != nil:
				one.files = slices.Sorted(maps.Keys(one.config.Data))
			case given[from] != nil:
				one.files = given[from]
			default:
				r.wrong("%s: nobody makes %q for the volume %s", place, from, v.Name)
			}
			if v.Secret.Name != "" && v.Secret.Mode != 0o440 {
				r.wrong("%s: others may read the key in the volume %s: its mode is %04o", place, v.Name, v.Secret.Mode)
			}
			if v.EmptyDir == nil && !m.ReadOnly {
				r.wrong("%s: %s isn't mounted read-only", place, m.Path)
			}
		}
		if !found {
			r.wrong("%s mounts %s, which is no volume", place, m.Name)
		}
		all = append(all, one)
	}
	return all
}
