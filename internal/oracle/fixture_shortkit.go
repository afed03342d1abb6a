package oracle

import "time"

func (w *World) addShortkit() {
	w.Tenants["org:k_1"] = Tenant{}
	w.Tenants["org:k_2"] = Tenant{}
	w.Tenants["org:k_susp"] = Tenant{Suspended: true}

	key := func(typ, environment, org string) Key {
		return Key{Policy: "shortkit", Type: typ, Environment: environment, Tenant: org}
	}
	for _, environment := range []string{"live", "test"} {
		w.add("sho-sk-"+environment, key("secret", environment, "org:k_1"))
		w.add("sho-pk-"+environment, key("publishable", environment, "org:k_1"))
		w.add("sho-sk-"+environment+"-2", key("secret", environment, "org:k_2"))
		w.addStates("sho-sk-"+environment, key("secret", environment, "org:k_1"))
	}
	w.addStates("sho-pk-live", key("publishable", "live", "org:k_1"))
	w.add("sho-sk-suspended", key("secret", "live", "org:k_susp"))
	w.add("sho-pk-suspended", key("publishable", "live", "org:k_susp"))
	w.add("sho-sk-rotated-grace", key("secret", "live", "org:k_1"), rotated(farAway))
	w.add("sho-sk-rotated-dead", key("secret", "live", "org:k_1"), rotated(time.Time{}))
}
