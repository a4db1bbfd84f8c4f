// OPA's data API (https://www.openpolicyagent.org/docs/rest-api#data-api) in terms of one question:
// what a request asks, and the answer as OPA writes it. Pure.
#pragma once

#include <expected>

#include "common/http/message.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp {

struct DataQuestion {
  Question question;        // of one input; without a caller
  bool pretty = false;      // the answer is for a person
  bool provenance = false;  // with versions and revisions
  bool is_post = false;     // then a missing `input` is worth a warning
};

// `GET /v1/data/…` with ?input=, and `POST /v1/data/…` with a body, JSON or YAML. What is wrong
// with the input is found by the engine, as OPA finds it.
DataQuestion parse_data_question(const http::Request& request);
// `POST /v0/data/…` and `POST /`, whose path is another one: the body is the input.
DataQuestion parse_plain_question(const http::Request& request);

// A parameter of OPA's that switches something: given without a value, or "true" in any case.
bool flag_parameter(const http::Request& request, std::string_view name);

struct AnswerOptions {
  bool pretty = false;
  bool warns_without_input = false;
  std::string_view decision_id;
  std::optional<std::string> engine_version;  // of OPA; set: with provenance
};

// {"decision_id", "provenance", "explanation", "metrics", "result", "rule_labels", "warning"}, in
// OPA's order, each if it is there. Without `result` the value is undefined, which a PEP must take
// for a denial.
http::Response data_answer(const AnswerOptions& options, const Result<Decision>& decision);
// The value alone; undefined: 404 in OPA's words.
http::Response plain_answer(const std::vector<std::string>& path, const Result<Decision>& decision,
                            bool pretty);

// A body that was made of JSON texts, with a line break at its end as OPA has; `pretty` indents it.
http::Response json_text_response(Bytes body, bool pretty);

// In OPA's form: 400 for a malformed input, 413 over a limit, 500 with OPA's `errors` for a policy
// that failed; 503 while no model is active, for a path in quarantine and when too many wait.
http::Response evaluation_error_response(const Error& error);

}  // namespace notp
