// Package tokenstest makes what the agent gives a worker of its token lane, for tests.
package tokenstest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Token is one entry. Times are seconds since 1970; 0: none.
type Token struct {
	ID              [16]byte
	Kind            uint16 // 0 living, 1 deleted, 2 absent
	End             int64
	Issued          int64
	Issuer, Subject string
	Client, Scope   string
	Audience        []string
	Session         string
	Confirmation    string // JSON
}

// Mark revokes what was issued up to a time.
type Mark struct {
	ID        [16]byte
	NotBefore int64
}

// List is a status list, inflated.
type List struct {
	ID       [16]byte
	Until    int64
	Bits     uint32
	Statuses []byte
}

// ID names a token, or a list by its address.
func ID(text string) [16]byte {
	hash := sha256.Sum256([]byte(text))
	return [16]byte(hash[:16])
}

// MarkID names a subject or the like.
func MarkID(kind, issuer, value string) [16]byte {
	of := func(text string) string {
		hash := sha256.Sum256([]byte(text))
		return hex.EncodeToString(hash[:])
	}
	return ID(kind + ":" + of(issuer) + ":" + of(value))
}

type dictionary struct {
	places  map[string]uint64
	offsets []uint32
	texts   []byte
}

func (d *dictionary) place(text string) uint64 {
	if at, ok := d.places[text]; ok {
		return at
	}
	at := uint64(len(d.offsets))
	d.places[text] = at
	d.offsets = append(d.offsets, uint32(len(d.texts)))
	d.texts = append(d.texts, text...)
	return at
}

func (d *dictionary) record(t Token) []byte {
	flags := t.Kind
	var rest []byte
	add := func(flag uint16, value uint64) {
		flags |= flag
		rest = binary.AppendUvarint(rest, value)
	}
	if t.Kind != 2 {
		rest = binary.AppendUvarint(rest, uint64(t.End))
	}
	if t.Issued != 0 {
		distance := t.End - t.Issued
		add(1<<2, uint64(distance<<1^distance>>63))
	}
	for _, each := range []struct {
		flag uint16
		text string
	}{{1 << 4, t.Issuer}, {1 << 5, t.Client}, {1 << 6, t.Scope}} {
		if each.text != "" {
			add(each.flag, d.place(each.text))
		}
	}
	if len(t.Audience) > 0 {
		var list []byte
		for _, each := range t.Audience {
			list = append(binary.AppendUvarint(list, uint64(len(each))), each...)
		}
		add(1<<7, d.place(string(list)))
	}
	name := func(shift int, text string) {
		if text == "" {
			return
		}
		if uuid, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(text), []byte("-"), nil))); err == nil && len(text) == 36 && len(uuid) == 16 {
			flags |= 1 << shift
			rest = append(rest, uuid...)
			return
		}
		flags |= 2 << shift
		rest = append(binary.AppendUvarint(rest, uint64(len(text))), text...)
	}
	name(11, t.Subject)
	name(13, t.Session)
	if t.Confirmation != "" {
		flags |= 1 << 10
		rest = append(binary.AppendUvarint(rest, uint64(len(t.Confirmation))), t.Confirmation...)
	}
	return append(binary.LittleEndian.AppendUint16(nil, flags), rest...)
}

// Segment returns a segment.
func Segment(tokens []Token, marks []Mark, lists []List) []byte {
	slices.SortFunc(tokens, func(a, b Token) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	slices.SortFunc(marks, func(a, b Mark) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	slices.SortFunc(lists, func(a, b List) int { return cmp.Or(bytes.Compare(a.ID[:], b.ID[:])) })
	words := &dictionary{places: map[string]uint64{}}
	var ids, records, markIDs, markBytes, listIDs, listBytes, statuses []byte
	var offsets []uint32
	for _, each := range tokens {
		ids = append(ids, each.ID[:]...)
		offsets = append(offsets, uint32(len(records)))
		records = append(records, words.record(each)...)
	}
	for _, each := range marks {
		markIDs = append(markIDs, each.ID[:]...)
		markBytes = binary.LittleEndian.AppendUint64(markBytes, uint64(each.NotBefore))
		markBytes = binary.LittleEndian.AppendUint64(markBytes, 1<<40)
	}
	for _, each := range lists {
		listIDs = append(listIDs, each.ID[:]...)
		for _, number := range []uint64{uint64(each.Until), uint64(each.Bits), uint64(len(statuses)), uint64(len(each.Statuses))} {
			listBytes = binary.LittleEndian.AppendUint64(listBytes, number)
		}
		statuses = append(statuses, each.Statuses...)
	}
	offsets = append(offsets, uint32(len(records)))
	textOffsets := append(slices.Clone(words.offsets), uint32(len(words.texts)))
	body := slices.Concat(ids, markIDs, markBytes, listIDs, listBytes, numbers(offsets), numbers(textOffsets), words.texts, records, statuses)
	head := []byte("NOTPSEG1")
	for _, count := range []int{len(tokens), len(marks), len(lists), len(words.offsets)} {
		head = binary.LittleEndian.AppendUint32(head, uint32(count))
	}
	for _, size := range []int{len(words.texts), len(records), len(statuses), 64 + len(body), 0} {
		head = binary.LittleEndian.AppendUint64(head, uint64(size))
	}
	return append(head, body...)
}

func numbers(list []uint32) []byte {
	var out []byte
	for _, each := range list {
		out = binary.LittleEndian.AppendUint32(out, each)
	}
	return out
}

// File returns a descriptor of a file with these bytes, sealed unless `open`.
func File(content []byte, open bool) (int, error) {
	file, err := unix.MemfdCreate("tokens", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, err
	}
	if n, err := unix.Write(file, content); err != nil || n != len(content) {
		return -1, fmt.Errorf("%d bytes written: %w", n, err)
	}
	if open {
		return file, nil
	}
	_, err = unix.FcntlInt(uintptr(file), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE|unix.F_SEAL_SEAL)
	return file, err
}
