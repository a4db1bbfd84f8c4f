// OPA's data API (https://www.openpolicyagent.org/docs/rest-api#data-api) in terms of one question.
#pragma once

#include "common/http/message.hpp"
#include "common/json.hpp"

namespace notp {

struct DataQuestion {
  std::string path;  // "a/b/c" below data
  Bytes input;       // JSON; empty: none
};

// From GET (?input=) or POST ({"input": …}) below /v1/data. The error is the response to give: 400.
std::expected<DataQuestion, http::Response> parse_data_question(const http::Request& request);

// {"result": …}; without `result` when the value is undefined, which a PEP must take for a denial.
http::Response data_answer(const Result<std::optional<Bytes>>& value, bool pretty);

// In OPA's form: 400 for a bad input, 413 over a limit, 503 while no model is active, else 500.
http::Response evaluation_error_response(const Error& error);

}  // namespace notp
