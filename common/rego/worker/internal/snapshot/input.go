package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/server/types"
	"github.com/open-policy-agent/opa/v1/util"

	"notp.core-platform.internal/notp-pdp/internal/frame"
)

// readInput reads an input's text as the handlers of OPA's server read it: numbers keep their text, of
// equal members the last one counts, and the messages are OPA's. Without a value `input` is undefined.
func readInput(form uint8, text []byte) (ast.Value, error) {
	var plain any
	has := true
	var err error
	switch form {
	case frame.FormValue:
		err = util.UnmarshalJSON(text, &plain)
	case frame.FormBody:
		plain, has, err = readBody(text)
	case frame.FormBodyYAML:
		plain, has, err = readBodyYAML(text)
	case frame.FormPlainBody:
		err = decode(text, &plain)
	case frame.FormPlainBodyYAML:
		if len(text) > 0 {
			err = util.Unmarshal(text, &plain)
		}
	default:
		return nil, fmt.Errorf("an unknown form of input: %d", form)
	}
	if err != nil {
		return nil, malformed(form, err)
	}
	if !has {
		return nil, nil
	}
	return ast.InterfaceToValue(plain)
}

func malformed(form uint8, err error) error {
	where := "body"
	if form == frame.FormValue {
		where = "parameter"
	}
	what := fmt.Errorf("%s contains malformed input document: %w", where, err)
	if form == frame.FormPlainBody || form == frame.FormPlainBodyYAML {
		return fmt.Errorf("unexpected parse error for input: %w", what)
	}
	return what
}

// decode reads the first JSON value of a text; what follows it is not looked at, and nothing but space
// leaves `into` as it is.
func decode(text []byte, into any) error {
	err := util.NewJSONDecoder(bytes.NewReader(text)).Decode(into)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// readBody reads OPA's request object. That type reads a body four times to keep members that nobody
// asks for, so a type with the one member does it: it accepts the same bodies. The error is of OPA's.
func readBody(text []byte) (input any, has bool, err error) {
	var body struct {
		Input *any `json:"input"`
	}
	if decode(text, &body) != nil {
		var request types.DataRequestV1
		if err := decode(text, &request); err != nil {
			return nil, false, err
		}
		return valueOf(request.Input)
	}
	return valueOf(body.Input)
}

func readBodyYAML(text []byte) (input any, has bool, err error) {
	var request types.DataRequestV1
	if len(text) > 0 {
		if err := util.Unmarshal(text, &request); err != nil {
			return nil, false, err
		}
	}
	return valueOf(request.Input)
}

func valueOf(input *any) (any, bool, error) {
	if input == nil {
		return nil, false, nil
	}
	return *input, true, nil
}
