package directory

import (
	"encoding/binary"
	"iter"
	"maps"
	"slices"

	"github.com/latchkey/latchkey/internal/alias"
)

// What is kept in memory of tenants and principals is packed into one piece of
// bytes each, without pointers, and read where it lies.

const suspendedBit = 1

// AppendPacked appends the packed form of the tenant.
func (t *Tenant) AppendPacked(b []byte) []byte {
	b = appendText(b, t.ID)
	b = append(b, flags(t.Suspended))
	b = appendText(b, t.Parent)
	b = appendText(b, t.Plan)
	return binary.AppendUvarint(b, t.Revision)
}

// PackedName returns the name of a packed tenant or principal.
func PackedName(packed []byte) []byte {
	n, size := binary.Uvarint(packed)
	return packed[size : size+int(n)]
}

// UnpackTenant reads what AppendPacked wrote. Its texts lie in the packed bytes,
// which must never change.
func UnpackTenant(packed []byte) Tenant {
	r := reader{text: alias.String(packed)}
	t := Tenant{ID: r.next()}
	t.Suspended = r.text[0]&suspendedBit != 0
	r.text = r.text[1:]
	t.Parent, t.Plan = r.next(), r.next()
	t.Revision = r.number()
	return t
}

// Person is a principal as checks read it: packed. The zero value is nobody.
type Person struct{ packed string }

// A packed principal is its name, flags and revision, and then two lists by
// tenant, sorted. A list is the number of its entries and, for each, where it
// begins, counted from the list's beginning (four bytes each), so that one is
// found without a look at the others. An entry is the tenant with its role, or
// the tenant with how many permissions it has and those.

// AppendPacked appends the packed form of the principal.
func (p *Principal) AppendPacked(b []byte) []byte {
	b = appendText(b, p.ID)
	b = append(b, flags(p.Suspended))
	b = binary.AppendUvarint(b, p.Revision)
	memberships := packList(sortedKeys(p.Memberships), func(b []byte, tenant string) []byte {
		return appendText(b, p.Memberships[tenant])
	})
	b = append(binary.AppendUvarint(b, uint64(len(memberships))), memberships...)
	return append(b, packList(sortedKeys(p.Permissions), func(b []byte, tenant string) []byte {
		b = binary.AppendUvarint(b, uint64(len(p.Permissions[tenant])))
		for _, permission := range p.Permissions[tenant] {
			b = appendText(b, permission)
		}
		return b
	})...)
}

func packList(tenants []string, value func(b []byte, tenant string) []byte) []byte {
	list := binary.LittleEndian.AppendUint32(nil, uint32(len(tenants)))
	list = append(list, make([]byte, 4*len(tenants))...)
	for i, tenant := range tenants {
		binary.LittleEndian.PutUint32(list[4+4*i:], uint32(len(list)))
		list = value(appendText(list, tenant), tenant)
	}
	return list
}

// Packed returns the principal as checks read it.
func (p *Principal) Packed() Person { return UnpackPerson(p.AppendPacked(nil)) }

// UnpackPerson reads what AppendPacked wrote. The bytes must never change.
func UnpackPerson(packed []byte) Person { return Person{alias.String(packed)} }

// ID returns the principal's name.
func (p Person) ID() string {
	r := reader{text: p.packed}
	return r.next()
}

// Suspended reports whether the principal is suspended. Nobody is.
func (p Person) Suspended() bool {
	if p == (Person{}) {
		return true
	}
	r := reader{text: p.packed}
	r.next()
	return r.text[0]&suspendedBit != 0
}

// lists returns the revision and the two lists.
func (p Person) lists() (revision uint64, memberships, permissions list) {
	if p == (Person{}) {
		return 0, noList, noList
	}
	r := reader{text: p.packed}
	r.next()
	r.text = r.text[1:]
	revision = r.number()
	memberships = list(r.next())
	return revision, memberships, list(r.text)
}

// Revision returns at which revision the principal last changed.
func (p Person) Revision() uint64 {
	revision, _, _ := p.lists()
	return revision
}

// Role returns the principal's role in a tenant, and whether it has one there.
func (p Person) Role(tenant string) (role string, ok bool) {
	_, memberships, _ := p.lists()
	r, ok := memberships.find(tenant)
	if !ok {
		return "", false
	}
	return r.next(), true
}

// Member reports whether the principal has a role in the tenant, one of the
// given ones if any are given.
func (p Person) Member(tenant string, roles ...string) bool {
	role, ok := p.Role(tenant)
	return ok && (len(roles) == 0 || slices.Contains(roles, role))
}

// Memberships returns the principal's roles by tenant, in order of the tenants.
func (p Person) Memberships() iter.Seq2[string, string] {
	return func(yield func(tenant, role string) bool) {
		_, memberships, _ := p.lists()
		for i := range memberships.len() {
			r := memberships.at(i)
			if tenant := r.next(); !yield(tenant, r.next()) {
				return
			}
		}
	}
}

// Permissions returns those that are listed for the principal in a tenant,
// beside those of its role there.
func (p Person) Permissions(tenant string) iter.Seq[string] {
	return func(yield func(string) bool) {
		_, _, permissions := p.lists()
		r, _ := permissions.find(tenant)
		for range r.number() {
			if !yield(r.next()) {
				return
			}
		}
	}
}

// Listed reports whether anything is listed for the principal in a tenant, be it
// no permission.
func (p Person) Listed(tenant string) bool {
	_, _, permissions := p.lists()
	_, ok := permissions.find(tenant)
	return ok
}

// Principal returns the principal as it is written and changed, sharing only
// text.
func (p Person) Principal() *Principal {
	revision, _, permissions := p.lists()
	out := &Principal{ID: p.ID(), Suspended: p.Suspended(), Revision: revision}
	if m := maps.Collect(p.Memberships()); len(m) > 0 {
		out.Memberships = m
	}
	for i := range permissions.len() {
		if out.Permissions == nil {
			out.Permissions = map[string][]string{}
		}
		r := permissions.at(i)
		tenant := r.next()
		out.Permissions[tenant] = slices.Collect(p.Permissions(tenant))
	}
	return out
}

// list is a packed list by tenant.
type list string

const noList = list("\x00\x00\x00\x00")

func (l list) word(i int) int {
	return int(l[4*i]) | int(l[4*i+1])<<8 | int(l[4*i+2])<<16 | int(l[4*i+3])<<24
}

func (l list) len() int { return l.word(0) }

func (l list) at(i int) reader { return reader{text: string(l[l.word(1+i):])} }

// find returns a reader of what stands behind a tenant.
func (l list) find(tenant string) (reader, bool) {
	low, high := 0, l.len()
	for low < high {
		middle := int(uint(low+high) / 2)
		r := l.at(middle)
		switch is := r.next(); {
		case is == tenant:
			return r, true
		case is < tenant:
			low = middle + 1
		default:
			high = middle
		}
	}
	return reader{}, false
}

// reader takes packed text apart from its beginning. Of nothing it reads zeros.
type reader struct{ text string }

func (r *reader) number() uint64 {
	var n uint64
	for shift := 0; len(r.text) > 0; shift += 7 {
		b := r.text[0]
		r.text = r.text[1:]
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	return n
}

func (r *reader) next() string {
	n := r.number()
	s := r.text[:n]
	r.text = r.text[n:]
	return s
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func flags(suspended bool) byte {
	if suspended {
		return suspendedBit
	}
	return 0
}
