package oracle

import "time"

func (w *World) addCuneiform() {
	w.Tenants["org:o_1"] = Tenant{Plan: "growth"}
	w.Tenants["org:o_2"] = Tenant{Plan: "starter"}
	w.Tenants["org:o_trial"] = Tenant{Plan: "trial"} // fell back to trial after its key was made
	w.Tenants["org:o_susp"] = Tenant{Plan: "enterprise", Suspended: true}

	everything := []string{"content.read", "content.upload", "content.update", "agent.read", "agent.create", "agent.update", "agent.delete"}
	may := func(org string, permissions ...string) Principal {
		return Principal{Permissions: map[string][]string{org: permissions}}
	}
	w.Principals["user:full"] = Principal{Permissions: map[string][]string{
		"org:o_1": everything, "org:o_trial": everything, "org:o_susp": everything,
	}}
	w.Principals["user:reader"] = may("org:o_1", "content.read", "agent.read")
	w.Principals["user:keeper"] = may("org:o_1", everything[:6]...) // all but agent.delete
	w.Principals["user:uploader"] = may("org:o_1", "content.upload", "agent.create")
	w.Principals["user:eraser"] = may("org:o_1", "agent.delete")
	w.Principals["user:nobody"] = Principal{}
	w.Principals["user:elsewhere"] = may("org:o_2", everything...) // no longer in org:o_1
	w.Principals["user:fullbarred"] = Principal{Permissions: map[string][]string{"org:o_1": everything}, Suspended: true}
	// "user:gone" created a key and is no longer in the directory.

	all := []string{"knowledge:read", "knowledge:write", "agents:read", "agents:write", "agents:query"}
	key := func(environment, org, creator string, scopes ...string) Key {
		return Key{Policy: "cuneiform", Type: "key", Environment: environment, Tenant: org, Creator: creator, Scopes: scopes}
	}
	w.add("cun-live", key("live", "org:o_1", "user:full", all...))
	w.add("cun-test", key("test", "org:o_1", "user:full", all...))
	w.add("cun-kr", key("live", "org:o_1", "user:full", "knowledge:read"))
	w.add("cun-kw", key("live", "org:o_1", "user:full", "knowledge:write"))
	w.add("cun-ar", key("live", "org:o_1", "user:full", "agents:read"))
	w.add("cun-aw", key("live", "org:o_1", "user:full", "agents:write"))
	w.add("cun-aq", key("live", "org:o_1", "user:full", "agents:query"))
	w.add("cun-empty", key("live", "org:o_1", "user:full"))
	w.add("cun-by-reader", key("live", "org:o_1", "user:reader", all...))
	w.add("cun-by-keeper", key("live", "org:o_1", "user:keeper", all...))
	w.add("cun-by-uploader", key("live", "org:o_1", "user:uploader", all...))
	w.add("cun-by-eraser", key("live", "org:o_1", "user:eraser", all...))
	w.add("cun-by-nobody", key("live", "org:o_1", "user:nobody", all...))
	w.add("cun-by-elsewhere", key("live", "org:o_1", "user:elsewhere", all...))
	w.add("cun-by-barred", key("live", "org:o_1", "user:fullbarred", all...))
	w.add("cun-by-gone", key("live", "org:o_1", "user:gone", all...))
	w.add("cun-o2", key("live", "org:o_2", "user:elsewhere", all...))
	w.add("cun-trial", key("live", "org:o_trial", "user:full", all...))
	w.add("cun-suspended", key("live", "org:o_susp", "user:full", all...))

	w.addStates("cun-live", key("live", "org:o_1", "user:full", all...))
	w.addStates("cun-test", key("test", "org:o_1", "user:full", all...))
	// Rotation revokes at once: there is no grace.
	w.add("cun-rotated-dead", key("live", "org:o_1", "user:full", all...), rotated(time.Time{}))
}
