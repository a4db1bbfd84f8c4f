package builtin

import (
	"math"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Bounds of what is remembered of verified tokens.
const (
	memoEntriesMax = 4096
	memoBytesMax   = 1 << 20 // of their texts; their claims take some fifteen times as much
	memoHeadersMax = 64
	memoSetsMax    = 8 // key sets; a node has one
)

// TxnMemo remembers transaction tokens that were verified with one snapshot, and the keys that verified them.
// Nothing else can put one there, so a peer fills it with tokens of the service alone. The zero value is
// ready. Thread-safe.
type TxnMemo struct {
	mutex    sync.RWMutex
	snapshot uint64
	entries  map[string]verified
	bytes    int
	sets     map[string]*txnSet   // by the name below data.keys
	headers  map[headerOf]*txnKey // of headers whose tokens were verified
}

type verified struct {
	claims        *ast.Term
	iat, nbf, exp float64 // seconds since 1970
}

// headerOf is the encoded header of tokens that a set of keys verifies.
type headerOf struct {
	keys, encoded string
}

// Of returns what evaluations with a snapshot use; `data` is its base data.
func (m *TxnMemo) Of(snapshot uint64, data map[string]any) MemoUse { return MemoUse{m, snapshot, data} }

// Forget forgets the tokens, and returns how many there were.
func (m *TxnMemo) Forget() int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	count := len(m.entries)
	clear(m.entries)
	m.bytes = 0
	return count
}

// MemoUse is a memo for evaluations with one snapshot. The zero value remembers nothing.
type MemoUse struct {
	memo     *TxnMemo
	snapshot uint64
	data     map[string]any
}

// recall returns the claims of a token that is still valid; nil: it has to be verified.
func (u MemoUse) recall(token string, now float64) *ast.Term {
	if u.memo == nil {
		return nil
	}
	u.memo.mutex.RLock()
	defer u.memo.mutex.RUnlock()
	if u.memo.snapshot != u.snapshot {
		return nil
	}
	found, ok := u.memo.entries[token]
	if !ok || now >= found.exp || now < found.nbf || found.iat > now+txnAhead {
		return nil
	}
	return found.claims
}

// begin makes the memo one of the use's snapshot; false: it is of a newer one already. The mutex is held.
func (u MemoUse) begin() bool {
	m := u.memo
	if u.snapshot < m.snapshot {
		return false // of an evaluation that began before
	}
	if u.snapshot > m.snapshot || m.entries == nil {
		m.snapshot, m.entries, m.bytes = u.snapshot, map[string]verified{}, 0
		m.sets, m.headers = map[string]*txnSet{}, map[headerOf]*txnKey{}
	}
	return true
}

// keep remembers a token that was verified.
func (u MemoUse) keep(token string, claims *ast.Term) {
	object, ok := claims.Value.(ast.Object)
	if u.memo == nil || !ok || len(token) > txnTokenMax {
		return
	}
	entry := verified{claims: claims, iat: numberIn(object, "iat"), exp: numberIn(object, "exp")}
	if entry.nbf = numberIn(object, "nbf"); math.IsNaN(entry.nbf) {
		entry.nbf = 0
	}
	if math.IsNaN(entry.iat) || math.IsNaN(entry.exp) {
		return
	}
	m := u.memo
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if !u.begin() {
		return
	}
	if _, ok := m.entries[token]; !ok {
		m.bytes += len(token)
	}
	m.entries[token] = entry
	for other := range m.entries {
		if len(m.entries) <= memoEntriesMax && m.bytes <= memoBytesMax {
			break
		}
		if other != token {
			delete(m.entries, other)
			m.bytes -= len(other)
		}
	}
}

// keyOf returns the key of the tokens with a header, and whether the header is new; nil: there is none.
func (u MemoUse) keyOf(keys, encoded string) (*txnKey, bool) {
	u.memo.mutex.RLock()
	var found *txnKey
	var set *txnSet
	if u.memo.snapshot == u.snapshot {
		found = u.memo.headers[headerOf{keys, encoded}]
		set = u.memo.sets[keys]
	}
	u.memo.mutex.RUnlock()
	if found != nil {
		return found, false
	}
	header, ok := readHeader(encoded)
	if !ok {
		return nil, false
	}
	if set == nil {
		set = u.readSet(keys)
	}
	if key := set.keys[header.kid]; key != nil && key.alg == header.alg {
		return key, true
	}
	return nil, false
}

// readSet reads the keys at data.keys.<keys>.
func (u MemoUse) readSet(keys string) *txnSet {
	issuers, _ := u.data["keys"].(map[string]any)
	set := readKeys(issuers[keys])
	u.memo.mutex.Lock()
	defer u.memo.mutex.Unlock()
	if u.begin() && len(u.memo.sets) < memoSetsMax {
		u.memo.sets[keys] = set
	}
	return set
}

func (u MemoUse) keepHeader(keys, encoded string, key *txnKey) {
	u.memo.mutex.Lock()
	defer u.memo.mutex.Unlock()
	if u.begin() && len(u.memo.headers) < memoHeadersMax {
		u.memo.headers[headerOf{keys, encoded}] = key
	}
}
