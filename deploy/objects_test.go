package deploy_test

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// object is what the rules look at. What else an object has is the schemas' matter.
type object struct {
	Kind     string
	Metadata meta
	Data     map[string]string // of a ConfigMap
	Spec     struct {
		// Of workloads.
		Replicas    *int
		ServiceName string `yaml:"serviceName"`
		Template    struct {
			Metadata meta
			Spec     pod
		}
		VolumeClaimTemplates []struct{ Metadata meta } `yaml:"volumeClaimTemplates"`

		// A Service has labels here, all others a labelSelector.
		Selector  yaml.Node
		ClusterIP string `yaml:"clusterIP"`
		Ports     []struct {
			Name       string
			Port       int
			TargetPort string `yaml:"targetPort"`
		}

		// Of a NetworkPolicy.
		PodSelector selector `yaml:"podSelector"`
		PolicyTypes []string `yaml:"policyTypes"`
		Ingress     []struct {
			From []struct {
				NamespaceSelector selector `yaml:"namespaceSelector"`
				PodSelector       selector `yaml:"podSelector"`
				IPBlock           any      `yaml:"ipBlock"`
			}
			Ports []struct{ Port string }
		}
		Egress []any
	}
}

type meta struct {
	Name, Namespace string
	Labels          map[string]string
}

type selector struct {
	MatchLabels map[string]string `yaml:"matchLabels"`
}

type pod struct {
	Account         string      `yaml:"serviceAccountName"`
	Token           *bool       `yaml:"automountServiceAccountToken"`
	Grace           int         `yaml:"terminationGracePeriodSeconds"`
	SecurityContext security    `yaml:"securityContext"`
	InitContainers  []container `yaml:"initContainers"`
	Containers      []container
	Volumes         []struct {
		Name     string
		EmptyDir *struct {
			SizeLimit string `yaml:"sizeLimit"`
		} `yaml:"emptyDir"`
		ConfigMap struct{ Name string } `yaml:"configMap"`
		Secret    struct {
			Name string `yaml:"secretName"`
			Mode int    `yaml:"defaultMode"`
		}
	}
}

type security struct {
	NonRoot      *bool `yaml:"runAsNonRoot"`
	User         *int  `yaml:"runAsUser"`
	OwnGroup     *int  `yaml:"runAsGroup"`
	Group        *int  `yaml:"fsGroup"`
	Escalation   *bool `yaml:"allowPrivilegeEscalation"`
	ReadOnlyRoot *bool `yaml:"readOnlyRootFilesystem"`
	Privileged   bool
	Capabilities struct{ Add, Drop []string }
	Seccomp      struct{ Type string } `yaml:"seccompProfile"`
}

type container struct {
	Name, Image     string
	Command, Args   []string
	RestartPolicy   string   `yaml:"restartPolicy"`
	SecurityContext security `yaml:"securityContext"`
	Ports           []struct {
		Name   string
		Number int `yaml:"containerPort"`
	}
	Lifecycle struct {
		PreStop struct {
			Exec  struct{ Command []string }
			Sleep struct{ Seconds int }
		} `yaml:"preStop"`
	}
	Startup   *probe `yaml:"startupProbe"`
	Liveness  *probe `yaml:"livenessProbe"`
	Readiness *probe `yaml:"readinessProbe"`
	Resources struct{ Requests, Limits map[string]string }
	Mounts    []struct {
		Name     string
		Path     string `yaml:"mountPath"`
		ReadOnly bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	GRPC *struct {
		Port    int
		Service string
	} `yaml:"grpc"`
	HTTP *struct {
		Port int
		Path string
	} `yaml:"httpGet"`
	TCP *struct{ Port int } `yaml:"tcpSocket"`
}

// ours reports whether a container is of one of our images.
func (c *container) ours() bool { return strings.HasPrefix(c.Image, "localhost/latchkey") }

// flag returns the argument after another, as in --config-path FILE; empty for none.
func (c *container) flag(name string) string {
	if i := slices.Index(c.Args, name); i >= 0 && i+1 < len(c.Args) {
		return c.Args[i+1]
	}
	return ""
}

// port returns the number of a port by its name; 0 for none.
func (c *container) port(name string) int {
	for _, p := range c.Ports {
		if p.Name == name {
			return p.Number
		}
	}
	return 0
}

// decode returns objects as the rules see them.
func decode(all []tree) ([]object, error) {
	seen := make([]object, len(all))
	for i, o := range all {
		b, err := yaml.Marshal(o)
		if err != nil {
			return nil, err
		}
		if err := yaml.Unmarshal(b, &seen[i]); err != nil {
			return nil, err
		}
	}
	return seen, nil
}
