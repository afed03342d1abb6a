package oracle

import "time"

func (w *World) addKodey() {
	for _, name := range []string{"team:t_1", "team:t_2", "team:t_3"} {
		w.Tenants[name] = Tenant{Plan: "pro"}
	}
	w.Tenants["team:t_susp"] = Tenant{Plan: "pro", Suspended: true}

	member := func(of map[string]string) Principal { return Principal{Memberships: of} }
	w.Principals["user:ada"] = member(map[string]string{"team:t_1": "OWNER"})
	w.Principals["user:bob"] = member(map[string]string{"team:t_1": "ADMIN", "team:t_2": "OWNER", "team:t_3": "MEMBER"})
	w.Principals["user:mem"] = member(map[string]string{"team:t_1": "MEMBER"})
	w.Principals["user:lone"] = member(nil)
	w.Principals["user:half"] = member(map[string]string{"team:t_1": "OWNER", "team:t_susp": "OWNER"})
	w.Principals["user:frozen"] = member(map[string]string{"team:t_susp": "OWNER"})
	w.Principals["user:barred"] = Principal{Memberships: map[string]string{"team:t_1": "OWNER"}, Suspended: true}
	// "user:left" owns a key and is no longer in the directory.

	team := func(typ, tenant string) Key {
		return Key{Policy: "kodey", Type: typ, Environment: "live", Tenant: tenant}
	}
	user := func(owner string) Key {
		return Key{Policy: "kodey", Type: "user_secret", Environment: "live", Principal: owner, Creator: owner}
	}
	w.add("kodey-pk", team("publishable", "team:t_1"))
	w.add("kodey-sk", team("secret", "team:t_1"))
	w.add("kodey-pk-2", team("publishable", "team:t_2"))
	w.add("kodey-sk-2", team("secret", "team:t_2"))
	w.add("kodey-pk-suspended", team("publishable", "team:t_susp"))
	w.add("kodey-sk-suspended", team("secret", "team:t_susp"))
	w.add("kodey-usk-one", user("user:ada"))
	w.add("kodey-usk-many", user("user:bob"))
	w.add("kodey-usk-member", user("user:mem"))
	w.add("kodey-usk-none", user("user:lone"))
	w.add("kodey-usk-half", user("user:half"))
	w.add("kodey-usk-frozen", user("user:frozen"))
	w.add("kodey-usk-barred", user("user:barred"))
	w.add("kodey-usk-left", user("user:left"))

	w.addStates("kodey-pk", team("publishable", "team:t_1"))
	w.addStates("kodey-sk", team("secret", "team:t_1"))
	w.addStates("kodey-usk", user("user:ada"))
	w.add("kodey-sk-rotated-grace", team("secret", "team:t_1"), rotated(farAway))
	w.add("kodey-sk-rotated-dead", team("secret", "team:t_1"), rotated(time.Time{}))
	w.add("kodey-sk-rotated-revoked", team("secret", "team:t_1"), rotated(farAway), revoked)
	w.add("kodey-usk-rotated-grace", user("user:ada"), rotated(farAway))
	w.add("kodey-usk-rotated-dead", user("user:ada"), rotated(time.Time{}))
}
