package tokens

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Kinds of an entry.
const (
	kindLiving  = 0
	kindDeleted = 1
	kindAbsent  = 2 // of a delta: what the file has does not count
)

// Flags of an entry, beside its kind.
const (
	hasIssued   = 1 << 2
	hasAuthTime = 1 << 3
	hasIssuer   = 1 << 4
	hasClient   = 1 << 5
	hasScope    = 1 << 6
	hasAudience = 1 << 7
	hasContext  = 1 << 8
	hasMethods  = 1 << 9
	hasConfirm  = 1 << 10

	subjectShift = 11
	sessionShift = 13
)

// How a subject or session is written.
const (
	nameNone     = 0
	nameUUID     = 1
	nameText     = 2
	nameAsClient = 3
)

// cursor takes an entry apart. After the first error every value is zero.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) number() uint64 {
	value, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.bad, c.rest = true, nil
		return 0
	}
	c.rest = c.rest[n:]
	return value
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.rest)) {
		c.bad, c.rest = true, nil
		return nil
	}
	part := c.rest[:n]
	c.rest = c.rest[n:]
	return part
}

// since takes a time that is written as its distance from another one.
func (c *cursor) since(other int64) int64 {
	n := c.number()
	return other - (int64(n>>1) ^ -int64(n&1))
}

// entry is one token, whose texts are still where they lie.
type entry struct {
	in    *segment
	flags uint16
	end   int64 // seconds since 1970
	rest  cursor
}

func (e *entry) kind() uint16 { return e.flags & 3 }

func (s *segment) token(id *ID) (entry, bool, error) {
	at, ok := find(s.ids, id)
	if !ok {
		return entry{}, false, nil
	}
	content, err := part(s.offsets, s.records, at)
	if err != nil || len(content) < 2 {
		return entry{}, false, errCorrupt
	}
	e := entry{in: s, flags: binary.LittleEndian.Uint16(content), rest: cursor{rest: content[2:]}}
	if e.kind() != kindAbsent {
		e.end = int64(e.rest.number())
	}
	if e.rest.bad {
		return entry{}, false, errCorrupt
	}
	return e, true, nil
}

// record is a living token. Terms that are not there are nil.
type record struct {
	issued           int64 // seconds since 1970; 0: unknown
	authTime         int64
	issuer, client   *ast.Term
	scope            *ast.Term
	audience         *ast.Term
	context, methods *ast.Term
	subject, session *ast.Term
	confirmation     *ast.Term
}

// open reads the rest of a living token's entry.
func (e *entry) open() (r record, err error) {
	c := e.rest
	if e.flags&hasIssued != 0 {
		r.issued = c.since(e.end)
	}
	if e.flags&hasAuthTime != 0 {
		r.authTime = c.since(e.end)
	}
	text := func(flag uint16, isList bool) *ast.Term {
		if e.flags&flag == 0 || err != nil {
			return nil
		}
		var term *ast.Term
		term, err = e.in.term(c.number(), isList)
		return term
	}
	r.issuer = text(hasIssuer, false)
	r.client = text(hasClient, false)
	r.scope = text(hasScope, false)
	r.audience = text(hasAudience, true)
	r.context = text(hasContext, false)
	r.methods = text(hasMethods, true)
	name := func(form uint16) *ast.Term {
		switch form {
		case nameUUID:
			return uuidTerm(c.take(16))
		case nameText:
			return ast.StringTerm(string(c.take(c.number())))
		case nameAsClient:
			return r.client
		}
		return nil
	}
	r.subject = name(e.flags >> subjectShift & 3)
	r.session = name(e.flags >> sessionShift & 3)
	if e.flags&hasConfirm != 0 && err == nil {
		r.confirmation, err = jsonTerm(c.take(c.number()))
	}
	if c.bad || len(c.rest) > 0 {
		err = errCorrupt
	}
	return r, err
}

// term returns a text of the segment, or a list of texts.
func (s *segment) term(index uint64, isList bool) (*ast.Term, error) {
	if index >= uint64(s.text) {
		return nil, errCorrupt
	}
	cache := s.terms
	if isList {
		cache = s.sets
	}
	if cache != nil {
		if known := cache[index].Load(); known != nil {
			return known, nil
		}
	}
	content, err := part(s.textOffsets, s.texts, int(index))
	if err != nil {
		return nil, err
	}
	term := ast.StringTerm(string(content))
	if isList {
		if term, err = listTerm(content); err != nil {
			return nil, err
		}
	}
	if cache != nil {
		cache[index].Store(term)
	}
	return term, nil
}

func listTerm(content []byte) (*ast.Term, error) {
	var texts []*ast.Term
	c := cursor{rest: content}
	for len(c.rest) > 0 {
		texts = append(texts, ast.StringTerm(string(c.take(c.number()))))
	}
	if c.bad {
		return nil, errCorrupt
	}
	return ast.ArrayTerm(texts...), nil
}

func uuidTerm(content []byte) *ast.Term {
	if len(content) != 16 {
		return nil // the cursor knows
	}
	var text [36]byte
	hex.Encode(text[:8], content[:4])
	for i, from := range []int{4, 6, 8} {
		at := 8 + i*5
		text[at] = '-'
		hex.Encode(text[at+1:], content[from:from+2])
	}
	text[23] = '-'
	hex.Encode(text[24:], content[10:])
	return ast.StringTerm(string(text[:]))
}

func jsonTerm(content []byte) (*ast.Term, error) {
	value, err := ast.ValueFromReader(bytes.NewReader(content))
	if err != nil {
		return nil, errCorrupt
	}
	return ast.NewTerm(value), nil
}

// Names of a record's members (RFC 7662, RFC 9068).
var (
	nameIssuer   = ast.InternedTerm("iss")
	nameSubject  = ast.InternedTerm("sub")
	nameClient   = ast.InternedTerm("client")
	nameScope    = ast.InternedTerm("scope")
	nameAudience = ast.InternedTerm("aud")
	nameExpiry   = ast.InternedTerm("exp")
	nameIssued   = ast.InternedTerm("iat")
	nameContext  = ast.InternedTerm("acr")
	nameMethods  = ast.InternedTerm("amr")
	nameAuthTime = ast.InternedTerm("auth_time")
	nameSession  = ast.InternedTerm("sid")
	nameConfirm  = ast.InternedTerm("cnf")
)

// object returns the record as policies see it.
func (r *record) object(expiry int64) *ast.Term {
	var members [12][2]*ast.Term
	count := 0
	add := func(name, value *ast.Term) {
		if value != nil {
			members[count] = [2]*ast.Term{name, value}
			count++
		}
	}
	add(nameIssuer, r.issuer)
	add(nameSubject, r.subject)
	add(nameClient, r.client)
	add(nameScope, r.scope)
	add(nameAudience, r.audience)
	add(nameExpiry, numberTerm(expiry))
	if r.issued != 0 {
		add(nameIssued, numberTerm(r.issued))
	}
	add(nameContext, r.context)
	add(nameMethods, r.methods)
	if r.authTime != 0 {
		add(nameAuthTime, numberTerm(r.authTime))
	}
	add(nameSession, r.session)
	add(nameConfirm, r.confirmation)
	return ast.ObjectTerm(members[:count]...)
}

func numberTerm(value int64) *ast.Term {
	return ast.NumberTerm(json.Number(strconv.FormatInt(value, 10)))
}
