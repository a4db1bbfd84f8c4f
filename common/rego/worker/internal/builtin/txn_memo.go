package builtin

import (
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Bounds of what is remembered of verified tokens.
const (
	memoEntriesMax = 4096
	memoBytesMax   = 1 << 20 // of their texts; their claims take some fifteen times as much
)

// TxnMemo remembers transaction tokens that the module system.notp.txn has verified with one snapshot.
// Nothing else can put one there, so a peer fills it with tokens of the service alone. The zero value is
// ready. Thread-safe.
type TxnMemo struct {
	mutex    sync.RWMutex
	snapshot uint64
	entries  map[string]verified
	bytes    int
}

type verified struct {
	claims        *ast.Term
	iat, nbf, exp float64 // seconds since 1970
}

// Of returns what evaluations with a snapshot use.
func (m *TxnMemo) Of(snapshot uint64) MemoUse { return MemoUse{m, snapshot} }

// Len returns how many tokens are remembered.
func (m *TxnMemo) Len() int {
	m.mutex.RLock()
	defer m.mutex.RUnlock()
	return len(m.entries)
}

// Clear forgets all.
func (m *TxnMemo) Clear() {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.snapshot, m.entries, m.bytes = 0, nil, 0
}

// MemoUse is a memo for evaluations with one snapshot. The zero value remembers nothing.
type MemoUse struct {
	memo     *TxnMemo
	snapshot uint64
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

func (u MemoUse) keep(token string, entry verified) {
	if u.memo == nil || len(token) > txnTokenMax {
		return
	}
	m := u.memo
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if u.snapshot < m.snapshot {
		return // of an evaluation that began before
	}
	if u.snapshot > m.snapshot || m.entries == nil {
		m.snapshot, m.entries, m.bytes = u.snapshot, map[string]verified{}, 0
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
