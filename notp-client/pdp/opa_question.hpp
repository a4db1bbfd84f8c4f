// A question in terms of OPA's REST API, and its answer: pure functions.
#pragma once

#include "common/http/client.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp {

// The call that asks `url` ("http://127.0.0.1:8181") for data.<path> with one of the question's
// inputs, which is moved from. kMessage: an input of the form kValue is not one JSON value, or OPA
// has no way to ask for the path.
//
// OPA has no parameter for kRecordNonDeterministic and kListBuiltinErrors, and takes none for plain
// bodies.
Result<http::Call> opa_call(std::string_view url, const Question& question, const InputText& input);

// The decision in OPA's answer, whose bytes it keeps. kMessage with OPA's words for a request that
// it refuses; kInvalidModel for an evaluation that failed.
Result<Decision> opa_decision(InputForm form, const http::Response& answer, ActiveSetPtr active);

}  // namespace notp
