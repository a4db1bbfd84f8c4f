// Translates a question into OPA's REST API, and the answer back: pure functions.
#pragma once

#include "common/http/client.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp::pdp {

// Builds the call to `url` ("http://127.0.0.1:8181") for data.<path> with one of the question's
// inputs. kMessage: an input of the form kValue is not one JSON value, or OPA's API cannot express
// the path.
//
// OPA has no parameter for kRecordNonDeterministic and kListBuiltinErrors, and takes none for plain
// bodies.
Result<http::Call> opa_call(std::string_view url, const Question& question, const InputText& input);

// Returns the decision in OPA's answer, whose bytes it keeps. kMessage with OPA's message for a
// request that it refuses; kInvalidModel for an evaluation that failed.
Result<Decision> opa_decision(InputForm form, const http::Response& answer, ActiveSetPtr active);

}  // namespace notp::pdp
