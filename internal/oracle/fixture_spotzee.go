package oracle

func (w *World) addSpotzee() {
	w.Tenants["organisation:so_1"] = Tenant{}
	w.Tenants["organisation:so_2"] = Tenant{}
	w.Tenants["organisation:so_susp"] = Tenant{Suspended: true}
	w.Tenants["project:p_1"] = Tenant{Parent: "organisation:so_1"}
	w.Tenants["project:p_2"] = Tenant{Parent: "organisation:so_1"}
	w.Tenants["project:p_3"] = Tenant{Parent: "organisation:so_2"}
	w.Tenants["project:p_susp"] = Tenant{Parent: "organisation:so_1", Suspended: true}
	w.Tenants["project:p_orphan"] = Tenant{Parent: "organisation:so_susp"}

	in := func(organisation, role string) Principal {
		return Principal{Memberships: map[string]string{organisation: role}}
	}
	w.Principals["user:so-owner"] = in("organisation:so_1", "owner")
	w.Principals["user:so-admin"] = in("organisation:so_1", "admin")
	w.Principals["user:so-member"] = in("organisation:so_1", "member")
	w.Principals["user:so-left"] = in("organisation:so_2", "owner") // no longer in so_1
	w.Principals["user:so-barred"] = Principal{Memberships: map[string]string{"organisation:so_1": "owner"}, Suspended: true}
	w.Principals["user:so-frozen"] = in("organisation:so_susp", "owner")
	// "user:so-gone" created a key and is no longer in the directory.

	project := func(typ, tenant, role string) Key {
		return Key{Policy: "spotzee", Type: typ, Tenant: tenant, Role: role}
	}
	organisation := func(tenant, role, creator string) Key {
		return Key{Policy: "spotzee", Type: "organisation", Tenant: tenant, Role: role, Creator: creator}
	}
	for _, role := range []string{"support", "smtpproxy", "editor", "publisher", "admin"} {
		w.add("spo-pk-"+role, project("publishable", "project:p_1", role))
		w.add("spo-sk-"+role, project("secret", "project:p_1", role))
	}
	w.add("spo-sk-p2", project("secret", "project:p_2", "admin"))
	w.add("spo-sk-p3", project("secret", "project:p_3", "admin"))
	w.add("spo-pk-suspended", project("publishable", "project:p_susp", "editor"))
	w.add("spo-sk-suspended", project("secret", "project:p_susp", "admin"))
	w.add("spo-sk-parent-suspended", project("secret", "project:p_orphan", "admin"))

	for _, role := range []string{"member", "admin", "owner"} {
		w.add("spo-ok-"+role, organisation("organisation:so_1", role, "user:so-owner"))
	}
	for _, creator := range []string{"admin", "member", "left", "barred", "gone"} {
		w.add("spo-ok-owner-by-"+creator, organisation("organisation:so_1", "owner", "user:so-"+creator))
	}
	w.add("spo-ok-member-by-admin", organisation("organisation:so_1", "member", "user:so-admin"))
	w.add("spo-ok-owner-by-operator", organisation("organisation:so_1", "owner", ""))
	w.add("spo-ok-so2", organisation("organisation:so_2", "owner", "user:so-left"))
	w.add("spo-ok-suspended", organisation("organisation:so_susp", "owner", "user:so-frozen"))

	// Nothing rotates in place here.
	w.addStates("spo-pk-editor", project("publishable", "project:p_1", "editor"))
	w.addStates("spo-sk-admin", project("secret", "project:p_1", "admin"))
	w.addStates("spo-ok-owner", organisation("organisation:so_1", "owner", "user:so-owner"))
}
