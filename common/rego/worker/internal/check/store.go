package check

import (
	"errors"

	"notp.core-platform.internal/notp-pdp/internal/content"
)

// Staged is the worker's content as a check asks for it.
type Staged struct{ Store *content.Store }

// Text returns a module's text.
func (s Staged) Text(hash Hash) (string, bool) {
	module := s.Store.Module(hash)
	if module == nil {
		return "", false
	}
	return module.Text, true
}

// Document waits until the document is parsed. A patch that does not fit is as good as none: the
// document is then wanted whole.
func (s Staged) Document(hash Hash) (any, error, bool) {
	document := s.Store.Document(hash)
	if document == nil {
		return nil, nil, false
	}
	value, err := document.Value()
	if errors.Is(err, content.ErrPatch) {
		return nil, nil, false
	}
	return value, err, true
}
