// Package tokens looks up what the agent's token lane holds, in files that the agent has written and that
// are mapped here. README.md of the worker, "Tokens", has their layout. Whatever bytes a file has, reading
// it is safe: a place outside of it is an error of the lookup.
package tokens

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
)

const (
	headerSize = 64
	idSize     = 16
	markSize   = 16
	listSize   = 32
	magic      = "NOTPSEG1"
)

// cachedTextsMax is how many texts a segment may have for its terms to be kept.
const cachedTextsMax = 4096

// errCorrupt is the error of a segment whose parts do not fit.
var errCorrupt = errors.New("the table of tokens is damaged")

// ID is the front of a SHA-256.
type ID [idSize]byte

// segment is a file or a delta. Immutable.
type segment struct {
	owners atomic.Int32 // tables that have it
	mapped []byte       // to be unmapped; nil: Go's memory

	ids, markIDs, marks, listIDs, lists    []byte
	offsets, textOffsets                   []byte
	texts, records, statuses               []byte
	tokenCount, markCount, listCount, text int

	terms []atomic.Pointer[ast.Term] // of texts, once they were asked for; nil: they are too many
	sets  []atomic.Pointer[ast.Term] // the same, of texts that are lists
}

// parse returns a segment. The bytes must not change.
func parse(content []byte) (*segment, error) {
	if len(content) < headerSize || string(content[:len(magic)]) != magic {
		return nil, errCorrupt
	}
	count := func(at int) int { return int(binary.LittleEndian.Uint32(content[at:])) }
	size := func(at int) uint64 { return binary.LittleEndian.Uint64(content[at:]) }
	s := &segment{tokenCount: count(8), markCount: count(12), listCount: count(16), text: count(20)}
	if size(48) != uint64(len(content)) {
		return nil, errCorrupt
	}
	rest := content[headerSize:]
	fits := true
	take := func(n uint64) []byte {
		if n > uint64(len(rest)) {
			fits = false
			return nil
		}
		part := rest[:n:n]
		rest = rest[n:]
		return part
	}
	s.ids = take(uint64(s.tokenCount) * idSize)
	s.markIDs = take(uint64(s.markCount) * idSize)
	s.marks = take(uint64(s.markCount) * markSize)
	s.listIDs = take(uint64(s.listCount) * idSize)
	s.lists = take(uint64(s.listCount) * listSize)
	s.offsets = take((uint64(s.tokenCount) + 1) * 4)
	s.textOffsets = take((uint64(s.text) + 1) * 4)
	s.texts = take(size(24))
	s.records = take(size(32))
	s.statuses = take(size(40))
	if !fits || len(rest) > 0 {
		return nil, errCorrupt
	}
	if s.text <= cachedTextsMax {
		s.terms = make([]atomic.Pointer[ast.Term], s.text)
		s.sets = make([]atomic.Pointer[ast.Term], s.text)
	}
	return s, nil
}

// find returns the place of an id among those that ascend. Ids are hashes, so it begins where the id is in
// a row of equal steps, and goes from there in growing steps: few places in memory are read.
func find(ids []byte, id *ID) (int, bool) {
	count := len(ids) / idSize
	if count == 0 {
		return 0, false
	}
	at := func(i int) []byte { return ids[i*idSize : (i+1)*idSize] }
	const shardBits = 6 // that the ids of a shard have in common
	share, _ := bits.Mul64(binary.BigEndian.Uint64(id[:])<<shardBits, uint64(count))
	guess := int(share)
	first, last := 0, count // where it may be
	if bytes.Compare(at(guess), id[:]) < 0 {
		first = guess + 1
		for step := 8; first+step < last; step *= 2 {
			if bytes.Compare(at(first+step), id[:]) >= 0 {
				last = first + step + 1
				break
			}
			first += step + 1
		}
	} else {
		last = guess + 1
		for step := 8; last-step > 0; step *= 2 {
			if bytes.Compare(at(last-step), id[:]) <= 0 {
				first = last - step
				break
			}
			last -= step
		}
	}
	for first < last {
		middle := (first + last) / 2
		switch order := bytes.Compare(at(middle), id[:]); {
		case order == 0:
			return middle, true
		case order < 0:
			first = middle + 1
		default:
			last = middle
		}
	}
	return 0, false
}

// part returns the bytes between two offsets.
func part(offsets, content []byte, at int) ([]byte, error) {
	if at < 0 || (at+2)*4 > len(offsets) {
		return nil, errCorrupt
	}
	begin, end := binary.LittleEndian.Uint32(offsets[at*4:]), binary.LittleEndian.Uint32(offsets[at*4+4:])
	if begin > end || uint64(end) > uint64(len(content)) {
		return nil, errCorrupt
	}
	return content[begin:end:end], nil
}

// mark is what is known of a subject or session.
type mark struct {
	notBefore, until int64 // seconds since 1970
}

func (s *segment) mark(id *ID) (mark, bool) {
	at, ok := find(s.markIDs, id)
	if !ok {
		return mark{}, false
	}
	entry := s.marks[at*markSize:]
	return mark{int64(binary.LittleEndian.Uint64(entry)), int64(binary.LittleEndian.Uint64(entry[8:]))}, true
}

// statusList is one list, inflated.
type statusList struct {
	until    int64 // seconds since 1970
	bits     uint32
	statuses []byte
}

func (s *segment) list(id *ID) (statusList, bool, error) {
	at, ok := find(s.listIDs, id)
	if !ok {
		return statusList{}, false, nil
	}
	entry := s.lists[at*listSize:]
	list := statusList{until: int64(binary.LittleEndian.Uint64(entry)), bits: binary.LittleEndian.Uint32(entry[8:])}
	begin, size := binary.LittleEndian.Uint64(entry[16:]), binary.LittleEndian.Uint64(entry[24:])
	known := list.bits == 1 || list.bits == 2 || list.bits == 4 || list.bits == 8
	if !known || begin > uint64(len(s.statuses)) || size > uint64(len(s.statuses))-begin {
		return statusList{}, false, errCorrupt
	}
	list.statuses = s.statuses[begin : begin+size]
	return list, true, nil
}

// at returns one status; false: there is none with this index. The least significant bits come first
// (draft-ietf-oauth-status-list, "Status List").
func (l statusList) at(index uint64) (uint8, bool) {
	each := 8 / uint64(l.bits)
	if index/each >= uint64(len(l.statuses)) {
		return 0, false
	}
	shift := index % each * uint64(l.bits)
	return l.statuses[index/each] >> shift & uint8(1<<l.bits-1), true
}
