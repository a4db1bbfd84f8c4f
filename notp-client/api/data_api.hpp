// OPA's data API (https://www.openpolicyagent.org/docs/rest-api#data-api) in terms of one question.
#pragma once

#include "common/http/message.hpp"
#include "common/json.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp {

struct DataQuestion {
  std::vector<std::string> path;  // segments below data
  std::optional<Bytes> input;     // JSON
};

// From GET (?input=) or POST ({"input": …}) below /v1/data. The error is the response to give: 400.
std::expected<DataQuestion, http::Response> parse_data_question(const http::Request& request);

// {"result": …}; without `result` when the value is undefined, which a PEP must take for a denial.
http::Response data_answer(const Result<Decision>& decision, bool pretty);

// In OPA's form: 400 for a bad input, 413 over a limit, 503 while no model is active, for a path in
// quarantine and when too many wait, else 500.
http::Response evaluation_error_response(const Error& error);

}  // namespace notp
