package tokens

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"unsafe"

	"github.com/open-policy-agent/opa/v1/ast"

	"notp.core-platform.internal/notp-pdp/internal/frame"
)

// liveFor is the age from which a lane lags: ms.
const liveFor = 30_000

// Use is what one frame of evaluations sees of the lane: one table and one time, from the first call on.
// The zero value sees no lane. One goroutine.
type Use struct {
	holder *Holder
	table  *table
	now    int64 // ms since 1970; trusted
	asked  bool
}

// NewUse returns a use of the table that is the newest when it is first asked for.
func NewUse(holder *Holder) Use { return Use{holder: holder} }

// End must follow the last call.
func (u *Use) End() {
	if u.table != nil {
		u.table.leave()
		u.table = nil
	}
	u.holder = nil
}

// TakeAsked reports whether there was a call since it was last asked.
func (u *Use) TakeAsked() bool {
	asked := u.asked
	u.asked = false
	return asked
}

// Read is the lane as an evaluation saw it.
type Read struct {
	Name     string `json:"name"`
	Revision uint64 `json:"revision"`
	State    string `json:"state"`
}

// Read returns what calls saw; empty values: no lane.
func (u *Use) Read() Read {
	if !u.see() {
		return Read{State: "unknown"}
	}
	return Read{u.table.lane.Name, u.table.lane.Revision, u.state()}
}

// see reports whether there is a lane.
func (u *Use) see() bool {
	u.asked = true
	if u.table == nil && u.holder != nil {
		if u.table = u.holder.acquire(); u.table != nil {
			u.now = u.holder.now(&u.table.lane)
		} else {
			u.holder = nil // none appears while the evaluation runs
		}
	}
	return u.table != nil && u.table.lane.Name != ""
}

// now returns the trusted time: a wall clock that was set back is not believed.
func (h *Holder) now(lane *frame.Lane) int64 {
	clock := h.Clock
	if clock == nil {
		clock = h.machine.read
	}
	wall, boot := clock()
	return max(wall, lane.Trusted+boot-lane.Boot)
}

// age returns the lane's age: ms.
func (u *Use) age() int64 { return max(0, u.now-u.table.lane.Heard) }

func (u *Use) isStale() bool {
	lane := &u.table.lane
	return lane.Heard == 0 || uint64(u.age())/1000 > lane.HardSeconds ||
		uint64(u.age())/1000 == lane.HardSeconds && u.age()%1000 > 0
}

// answers reports whether there is a lane whose content counts.
func (u *Use) answers() bool { return u.see() && (u.table.lane.Serves || !u.isStale()) }

func (u *Use) state() string {
	switch u.table.lane.Contact {
	case contactHeard:
		if u.isStale() {
			return "stale"
		}
		if u.age() > liveFor {
			return "lagging"
		}
		return "live"
	case contactUnsupported:
		return "unsupported"
	case contactDenied:
		return "denied"
	}
	return "unknown"
}

func idOf(text string) ID {
	hash := hashOf(text)
	return ID(hash[:idSize])
}

// hashOf hashes a text without a copy of it.
func hashOf(text string) [sha256.Size]byte {
	return sha256.Sum256(unsafe.Slice(unsafe.StringData(text), len(text)))
}

// IDText is how an id is written: 32 hexadecimal digits.
func IDText(token string) string {
	id := idOf(token)
	return hex.EncodeToString(id[:])
}

func (t *table) token(id *ID) (entry, bool, error) {
	at := &t.shards[frame.ShardTokens][id[0]>>2]
	for _, each := range [...]*segment{at.delta, at.base} {
		if each == nil {
			continue
		}
		if found, ok, err := each.token(id); ok || err != nil {
			return found, ok && found.kind() != kindAbsent, err
		}
	}
	return entry{}, false, nil
}

// Kinds of marks.
const (
	markSubject     = "sub"
	markSession     = "sid"
	markToken       = "jti"
	markTransaction = "txn"
)

// isMarked reports whether something that was issued then is revoked by a mark. `issued` nil: unknown, so
// that any mark revokes it.
func (t *table) isMarked(kind, issuer, value string, issued *int64) bool {
	if t.marks == 0 {
		return false
	}
	var text [3 + 1 + 64 + 1 + 64]byte
	copy(text[:], kind)
	text[3], text[68] = ':', ':'
	hash := hashOf(issuer)
	hex.Encode(text[4:], hash[:])
	hash = hashOf(value)
	hex.Encode(text[69:], hash[:])
	hash = sha256.Sum256(text[:])
	id := ID(hash[:idSize])
	at := &t.shards[frame.ShardTokens][id[0]>>2]
	for _, each := range [...]*segment{at.delta, at.base} {
		if each == nil {
			continue
		}
		if found, ok := each.mark(&id); ok {
			return issued == nil || *issued <= found.notBefore
		}
	}
	return false
}

// Lookup returns the record of a token that lives and is not revoked; nil: there is none, or not all that
// is revoked is known.
func (u *Use) Lookup(token string) (*ast.Term, error) {
	if !u.answers() || !u.table.lane.Complete {
		return nil, nil
	}
	id := idOf(token)
	found, ok, err := u.table.token(&id)
	if !ok || err != nil || found.kind() != kindLiving || found.end <= u.now/1000 {
		return nil, err
	}
	r, err := found.open()
	if err != nil {
		return nil, err
	}
	var issued *int64
	if r.issued != 0 {
		issued = &r.issued
	}
	if issuer := textOf(r.issuer); issuer != "" {
		if subject := textOf(r.subject); subject != "" && u.table.isMarked(markSubject, issuer, subject, issued) {
			return nil, nil
		}
		if session := textOf(r.session); session != "" && u.table.isMarked(markSession, issuer, session, issued) {
			return nil, nil
		}
	}
	return r.object(found.end), nil
}

func textOf(term *ast.Term) string {
	if term == nil {
		return ""
	}
	text, _ := term.Value.(ast.String)
	return string(text)
}

// Revoked reports whether a token, or what claims say, is revoked; also if nothing is known of it.
func (u *Use) Revoked(of ast.Value) (bool, error) {
	if !u.answers() || !u.table.lane.Complete {
		return true, nil
	}
	switch of := of.(type) {
	case ast.String:
		id := idOf(string(of))
		found, ok, err := u.table.token(&id)
		return ok && found.kind() == kindDeleted, err
	case ast.Object:
		return u.claimsRevoked(of)
	}
	return true, nil
}

var (
	claimNames  = map[string]*ast.Term{markSubject: ast.InternedTerm("sub"), markSession: ast.InternedTerm("sid"), markToken: ast.InternedTerm("jti"), markTransaction: ast.InternedTerm("txn")}
	nameStatus  = ast.InternedTerm("status")
	nameList    = ast.InternedTerm("status_list")
	nameIndex   = ast.InternedTerm("idx")
	nameAddress = ast.InternedTerm("uri")
)

func (u *Use) claimsRevoked(claims ast.Object) (bool, error) {
	if issuer, ok := textMember(claims, nameIssuer); ok {
		issued := issuedAt(claims)
		for _, kind := range [...]string{markSubject, markSession, markToken, markTransaction} {
			if value, ok := textMember(claims, claimNames[kind]); ok && u.table.isMarked(kind, issuer, value, issued) {
				return true, nil
			}
		}
	}
	if status, ok := member(claims, nameStatus).(ast.Object); ok {
		if reference := status.Get(nameList); reference != nil {
			return u.statusRevoked(reference.Value)
		}
	}
	return false, nil
}

// wholeMax is where doubles, by which fractions are read, skip whole numbers.
const wholeMax = 1 << 53

// issuedAt returns the whole seconds of `iat`, as a mark has them; nil: it is not a number, or not a time.
func issuedAt(claims ast.Object) *int64 {
	number, ok := member(claims, nameIssued).(ast.Number)
	if !ok {
		return nil
	}
	whole, ok := number.Int64()
	if !ok {
		fraction, isNumber := number.Float64()
		if !isNumber || math.Abs(fraction) > wholeMax {
			return nil
		}
		whole = int64(math.Floor(fraction))
	}
	if whole > wholeMax {
		return nil
	}
	return &whole
}

func (u *Use) statusRevoked(reference ast.Value) (bool, error) {
	object, ok := reference.(ast.Object)
	if !ok {
		return true, nil
	}
	address, ok := textMember(object, nameAddress)
	if !ok {
		return true, nil
	}
	index, ok := indexOf(member(object, nameIndex))
	if !ok {
		return true, nil
	}
	id := idOf(address)
	base := u.table.shards[frame.ShardLists][id[0]>>2].base
	if base == nil {
		return true, nil
	}
	list, ok, err := base.list(&id)
	if err != nil || !ok || list.until <= u.now/1000 {
		return true, err
	}
	status, ok := list.at(index)
	return !ok || status != 0, nil
}

// indexOf reads a number without a fraction that is not negative.
func indexOf(value ast.Value) (uint64, bool) {
	number, ok := value.(ast.Number)
	if !ok {
		return 0, false
	}
	if whole, ok := number.Int64(); ok {
		return uint64(whole), whole >= 0
	}
	fraction, ok := number.Float64() // 1.0, 1e3
	if !ok || fraction < 0 || fraction > wholeMax || fraction != float64(uint64(fraction)) {
		return 0, false
	}
	return uint64(fraction), true
}

func member(object ast.Object, name *ast.Term) ast.Value {
	if term := object.Get(name); term != nil {
		return term.Value
	}
	return nil
}

func textMember(object ast.Object, name *ast.Term) (string, bool) {
	text, ok := member(object, name).(ast.String)
	return string(text), ok
}

var modes = [...]string{"push", "ask"}

var (
	nameName     = ast.InternedTerm("name")
	nameRevision = ast.InternedTerm("revision")
	nameState    = ast.InternedTerm("state")
	nameMode     = ast.InternedTerm("mode")
	nameAge      = ast.InternedTerm("age_s")
)

// Lane returns what policies see of the lane.
func (u *Use) Lane() *ast.Term {
	if !u.see() {
		return ast.ObjectTerm([2]*ast.Term{nameName, ast.StringTerm("")}, [2]*ast.Term{nameMode, ast.StringTerm("")},
			[2]*ast.Term{nameRevision, numberTerm(0)}, [2]*ast.Term{nameState, ast.StringTerm("unknown")})
	}
	lane := &u.table.lane
	object := ast.NewObject(
		[2]*ast.Term{nameName, ast.StringTerm(lane.Name)},
		[2]*ast.Term{nameMode, ast.StringTerm(modes[min(int(lane.Mode), len(modes)-1)])},
		[2]*ast.Term{nameRevision, ast.NumberTerm(json.Number(strconv.FormatUint(lane.Revision, 10)))},
		[2]*ast.Term{nameState, ast.StringTerm(u.state())},
	)
	if lane.Heard != 0 {
		object.Insert(nameAge, numberTerm(u.age()/1000))
	}
	return ast.NewTerm(object)
}
