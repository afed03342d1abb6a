package directory

// Maps is a Reader of plain maps, for those who ask less often than checks do:
// each answer about a principal is packed anew.
type Maps struct {
	Tenants    map[string]*Tenant
	Principals map[string]*Principal
}

// Tenant implements Reader.
func (m Maps) Tenant(id string) (Tenant, bool) {
	if t := m.Tenants[id]; t != nil {
		return *t, true
	}
	return Tenant{}, false
}

// Principal implements Reader.
func (m Maps) Principal(id string) (Person, bool) {
	if p := m.Principals[id]; p != nil {
		return p.Packed(), true
	}
	return Person{}, false
}
